await import('../plugins/all.test.ts')
await import('../accounts/all.test.ts')
await import('../search/all.test.ts')
await import('../chatbots.test.ts')
