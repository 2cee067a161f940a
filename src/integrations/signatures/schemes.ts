import { type SignatureScheme } from '../../../schemas/integration.ts'
import { type HmacPlace } from '../../store/integrations.ts'
import { github } from './github.ts'
import { hmac } from './hmac.ts'
import { type Scheme } from './signed-request.ts'
import { slack } from './slack.ts'
import { standard } from './standard.ts'
import { stripe } from './stripe.ts'

const plain: Readonly<Record<Exclude<SignatureScheme, 'hmac'>, Scheme>> = { standard, github, stripe, slack }

/** How the sender of an integration signs. */
export function schemeOf ({ scheme, hmac: place }: { readonly scheme: SignatureScheme, readonly hmac: HmacPlace | null }): Scheme {
  return scheme === 'hmac' ? hmac(place!) : plain[scheme]
}
