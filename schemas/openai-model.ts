import { Type } from './type.ts'

export const OpenAiModel = Type.Object({
  id: Type.String({ description: 'The id of the configuration.' }),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'When it was made, in seconds since 1970.' }),
  owned_by: Type.String({ description: 'Always `parley`.' }),
  name: Type.String({ description: 'The name of the configuration, by which it can be asked for as well, where no other bears it.' })
}, { $id: 'OpenAiModel', description: 'A configuration, as a model.' })

export const OpenAiModelList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(OpenAiModel, { description: 'The 1000 newest, the newest first.' })
}, { $id: 'OpenAiModelList', description: 'Configurations, as models.' })
