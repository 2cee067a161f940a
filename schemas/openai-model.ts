import { configId } from './examples.ts'
import { Type } from './type.ts'

const example = { id: configId, object: 'model', created: 1_772_443_798, owned_by: 'parley', name: 'Shop assistant' }

export const OpenAiModel = Type.Object({
  id: Type.String({ description: 'The id of the configuration.' }),
  object: Type.Literal('model', { description: 'What this is.' }),
  created: Type.Integer({ description: 'When it was made, in seconds since 1970.' }),
  owned_by: Type.String({ description: 'Always `parley`.' }),
  name: Type.String({ description: 'The name of the configuration, by which it can be asked for as well, where no other bears it.' })
}, { $id: 'OpenAiModel', description: 'A configuration, as a model.', examples: [example] })

export const OpenAiModelList = Type.Object({
  object: Type.Literal('list', { description: 'What this is.' }),
  data: Type.Array(OpenAiModel, { description: 'The 1000 newest, the newest first.' })
}, { $id: 'OpenAiModelList', description: 'Configurations, as models.', examples: [{ object: 'list', data: [example] }] })
