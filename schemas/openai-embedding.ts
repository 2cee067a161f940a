import { Any, Maybe } from './openai-chat.ts'
import { OneOf, Type, type Static } from './type.ts'

const tokens = (description: string) => Type.Integer({ minimum: 0, description })

export const EmbeddingsInput = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200, description: 'The model that makes the vectors, such as `mistral-embed`. Without a model it is not looked at.' }),
  input: Any('A text, or an array of up to 2048 of them, none of them empty.'),
  encoding_format: Maybe(OneOf(['float', 'base64'], { description: 'How vectors are written: numbers, or their bytes, four for each number, little-endian.' })),
  dimensions: Maybe(Type.Integer({ description: 'Not supported: the size of a vector is the model\'s.' })),
  user: Maybe(Type.String({ description: 'Taken and not used.' }))
}, {
  $id: 'EmbeddingsInput',
  additionalProperties: true,
  description: 'Texts that vectors are to be made of. Members of OpenAI\'s that are not named here are ignored.',
  examples: [{ model: 'mistral-embed', input: ['Orders ship within two days.'] }]
})
export type EmbeddingsInput = Static<typeof EmbeddingsInput>

export const Embeddings = Type.Object({
  object: Type.Literal('list', { description: 'What this is.' }),
  model: Type.String({ description: 'The model that made them; `offline-hashed-words`: words were counted, without a model.' }),
  data: Type.Array(Type.Object({
    object: Type.Literal('embedding', { description: 'What this is.' }),
    index: Type.Integer({ description: 'The place of its text in the input, from 0.' }),
    embedding: Any('The vector: an array of numbers, or, for `base64`, a text.')
  }), { description: 'A vector for each text, in the order of the texts.' }),
  usage: Type.Object({
    prompt_tokens: tokens('Tokens of the texts, estimated.'),
    total_tokens: tokens('The same.')
  }, { description: 'What the model was given.' })
}, {
  $id: 'Embeddings',
  description: 'Vectors that are near each other where their texts are.',
  examples: [{
    object: 'list',
    model: 'mistral-embed',
    data: [{ object: 'embedding', index: 0, embedding: [0.0173, -0.0331, 0.0094] }],
    usage: { prompt_tokens: 7, total_tokens: 7 }
  }]
})
export type Embeddings = Static<typeof Embeddings>
