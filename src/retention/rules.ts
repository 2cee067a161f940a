import { type Retention, type RetentionInput } from '../../schemas/retention.ts'
import { type RetentionSettingsRepository } from '../store/retention-settings.ts'

/** For how long tenants keep what is theirs. */
export class RetentionRules {
  readonly #repository: RetentionSettingsRepository

  constructor (repository: RetentionSettingsRepository) {
    this.#repository = repository
  }

  async read (tenantId: string): Promise<Retention> {
    const { tenantId: _, ...settings } = await this.#repository.find(tenantId)
    return settings
  }

  async set (tenantId: string, settings: RetentionInput): Promise<Retention> {
    await this.#repository.set({ tenantId, ...settings })
    return settings
  }
}
