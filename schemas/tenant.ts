import { TenantName } from './account.ts'
import { Page } from './page.ts'
import { Timestamp } from './text.ts'
import { OneOf, Type, closed, type Static } from './type.ts'

export const Tenant = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String({ description: '`active`, or `suspended`: its credentials are refused. Open to growth.' }),
  createdAt: Timestamp
}, { $id: 'Tenant', description: 'A tenant.' })
export type Tenant = Static<typeof Tenant>

export const TenantPage = Page('TenantPage', Tenant)

export const TenantPatch = Type.Object({
  name: Type.Optional(TenantName),
  status: Type.Optional(OneOf(['active', 'suspended'], { description: 'A suspended tenant\'s credentials are refused, within 5 s on every replica.' }))
}, { ...closed, $id: 'TenantPatch', description: 'What to change; absent members stay as they are.', examples: [{ status: 'suspended' }] })
export type TenantPatch = Static<typeof TenantPatch>
