import { Type, type Static } from '@sinclair/typebox'
import { anyObject, closed, maybe, nullish, oneOf, tagged } from './building-blocks.ts'

const ToolConfiguration = closed({
  exclude: nullish(Type.Array(Type.String())),
  include: nullish(Type.Array(Type.String())),
  requires_confirmation: nullish(Type.Array(Type.String()))
})

const FunctionTool = closed({
  type: maybe(Type.Literal('function')),
  function: closed({
    name: Type.String(),
    description: maybe(Type.String()),
    strict: maybe(Type.Boolean()),
    parameters: anyObject
  })
})

const builtIn = <const T extends string>(type: T) =>
  closed({ tool_configuration: nullish(ToolConfiguration), type: maybe(Type.Literal(type)) })

const DocumentLibraryTool = closed({
  tool_configuration: nullish(ToolConfiguration),
  type: maybe(Type.Literal('document_library')),
  library_ids: Type.Array(Type.String(), { minItems: 1 })
})

const credential = <const T extends string>(type: T) =>
  closed({ type: maybe(Type.Literal(type)), value: Type.String() })

const ConnectorTool = closed({
  type: maybe(Type.Literal('connector')),
  connector_id: Type.String(),
  authorization: nullish(tagged('type', [credential('oauth2-token'), credential('api-key')])),
  tool_configuration: nullish(ToolConfiguration)
})

/** The `tools` of a chat request: functions of the caller and built-in connectors. */
export const Tools = Type.Array(tagged('type', [
  FunctionTool, builtIn('web_search'), builtIn('web_search_premium'), builtIn('code_interpreter'),
  builtIn('image_generation'), DocumentLibraryTool, ConnectorTool
]))

/** `tool_choice`: a mode, or the one function that must be called. */
export const ToolChoice = Type.Union([
  closed({ type: maybe(Type.Literal('function')), function: closed({ name: Type.String() }) }),
  oneOf('auto', 'none', 'any', 'required')
])

/** A function of the caller. */
export type FunctionTool = Static<typeof FunctionTool>
