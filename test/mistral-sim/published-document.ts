import { existsSync, readFileSync } from 'node:fs'
import { type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'

const FILE = new URL('../../../shared/mistral/openapi.yaml', import.meta.url)

export type Node = Record<string, unknown>

/** An OpenAPI document, as far as it is looked at. */
export interface Document {
  paths: Record<string, Node>
  components: { schemas: Record<string, Node> }
}

/** A mistake of the document, with a body that shows it. */
export interface Correction {
  reason: string
  apply: (document: Document) => void
  schema: string
  takenByMistake?: object
  refusedByMistake?: object
}

/** The document that Mistral publishes; undefined: it is not here. */
export function publishedDocument (): Document | undefined {
  return existsSync(FILE) ? parse(readFileSync(FILE, 'utf8')) as Document : undefined
}

/** The schemas of a document by name, each as a function that validates. */
export function schemasOf (document: Document): (name: string) => ValidateFunction {
  const ajv = new Ajv2020({ strict: false, discriminator: false, logger: false })
  addFormats.default(ajv)
  ajv.addSchema(document, 'document')
  return (name) => {
    const validate = ajv.getSchema(`document#/components/schemas/${name}`)
    if (validate === undefined) throw new Error(`the document has no ${name}`)
    return validate
  }
}
