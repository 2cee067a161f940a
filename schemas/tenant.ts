import { TenantName } from './account.ts'
import { Page } from './page.ts'
import { Timestamp } from './text.ts'
import { OneOf, OpenWord, Type, closed, type Static } from './type.ts'

export const Tenant = Type.Object({
  id: Type.String({ description: 'The identifier.' }),
  name: Type.String({ description: 'What it is called.' }),
  status: OpenWord(['active', 'suspended'], { description: '`active`, or `suspended`: its credentials are refused.' }),
  createdAt: Timestamp
}, {
  $id: 'Tenant',
  description: 'A tenant.',
  examples: [{ id: '6650a1f2c3d4e5f601234567', name: 'Parcel desk', status: 'active', createdAt: '2026-01-01T12:00:00.000Z' }]
})
export type Tenant = Static<typeof Tenant>

export const TenantPage = Page('TenantPage', Tenant)

export const TenantPatch = Type.Object({
  name: Type.Optional(TenantName),
  status: Type.Optional(OneOf(['active', 'suspended'], { description: 'A suspended tenant\'s credentials are refused, within 5 s on every replica.' }))
}, { ...closed, $id: 'TenantPatch', description: 'What to change; absent members stay as they are.', examples: [{ status: 'suspended' }] })
export type TenantPatch = Static<typeof TenantPatch>
