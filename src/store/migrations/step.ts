import { type Db, type Document, type Filter } from 'mongodb'

/** What has to be done once to data of earlier versions. */
export interface Step {
  /** By which it is known in databases and backups, so it stays. */
  readonly id: string
  /** Where it looks for what is to be changed. */
  readonly collection: string
  /** What it finds there until it has been changed. */
  readonly outdated: Filter<Document>
  /** May be cut off and begun again, and done by two processes at once. */
  run (db: Db): Promise<void>
}
