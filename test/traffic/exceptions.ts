/** Answers that are documented and that the tests of `npm test` do not bring about. What has come all the same is said, to be taken off. */
export const unseen: ReadonlySet<string> = new Set([
  // What comes by webhook is tried again first.
  'receiveMessage 504', 'receiveWebhook 504',
  // Its store is away when the login is on its way to the provider, or the counters of all replicas are.
  'beginProviderLogin 503', 'endProviderLogin 503', 'getCsrfToken 503',
  // Only when two do something to one thing at the same moment.
  'confirmPasswordReset 409', 'createChatCompletion 409', 'createResponse 409', 'endProviderLogin 409', 'explainWebhook 409',
  'exportSession 409', 'receiveMessage 409', 'receiveWebhook 409', 'rotateIntegration 409', 'rotateWebhookSecret 409', 'unrateMessage 409'
])

/** Operations that take bodies of other shapes than the one that is documented: those that an integration's mapping finds a message in. */
export const openBodies: ReadonlySet<string> = new Set(['receiveWebhook'])
