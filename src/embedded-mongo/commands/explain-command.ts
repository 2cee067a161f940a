import { setImmediate } from 'node:timers/promises'
import { queryOf } from '../aggregation/aggregate.ts'
import { CommandError } from '../errors.ts'
import { type Variables } from '../aggregation/expressions.ts'
import { parseQuery, type Query, type Results } from '../query/queries.ts'
import { PAUSE } from '../query/scan.ts'
import { isDocument, isNumeric, type Document } from '../values/values.ts'
import { isTrue, type Request } from '../wire/request.ts'

interface Explained {
  namespace: string
  query: Query
  /** A write's outermost stage. */
  stage?: 'UPDATE' | 'DELETE'
}

/** Runs the read part of a command and tells how it went; a write is not done. */
export async function explain (request: Request): Promise<Document> {
  const { body, store, database } = request
  const command = request.name === 'explain' ? body.explain : body
  if (!isDocument(command)) throw new CommandError(14, 'explain needs a command')
  const { namespace, query, stage } = explained(command, database, { ...request.variables })
  const verbosity = body.verbosity ?? 'allPlansExecution'
  const results = store.queries.run(namespace, query)
  const count = verbosity === 'queryPlanner' ? 0 : await exhaust(results)
  const winningPlan = outermost(stage, planTree(results, query, undefined))
  const reply: Document = {
    explainVersion: '1',
    queryPlanner: { namespace, parsedQuery: query.filter.source, winningPlan, rejectedPlans: [] },
    command,
    serverInfo: { version: '8.0.0' }
  }
  if (verbosity === 'queryPlanner') return reply
  const { keysExamined: totalKeysExamined, docsExamined: totalDocsExamined } = results.cost
  return {
    ...reply,
    executionStats: {
      executionSuccess: true,
      nReturned: count,
      executionTimeMillis: Date.now() - request.now.getTime(),
      totalKeysExamined,
      totalDocsExamined,
      executionStages: outermost(stage, planTree(results, query, count))
    }
  }
}

function explained (command: Document, database: string, variables: Variables): Explained {
  const [name = ''] = Object.keys(command)
  const namespace = `${database}.${String(command[name])}`
  switch (name) {
    case 'find': return { namespace, query: parseQuery(command, 'filter', variables) }
    case 'count': case 'distinct': return { namespace, query: parseQuery(command, 'query', variables) }
    case 'findAndModify':
      return {
        namespace,
        query: { ...parseQuery(command, 'query', variables), limit: 1 },
        stage: command.remove === true ? 'DELETE' : 'UPDATE'
      }
    case 'aggregate':
      if (!Array.isArray(command.pipeline)) {
        throw new CommandError(14, '\'pipeline\' option must be specified as an array')
      }
      return { namespace, query: { ...queryOf(command.pipeline, variables), hint: command.hint } }
    case 'update': case 'delete': return explainedWrite(name, namespace, command, variables)
  }
  throw new CommandError(59, `Explain failed due to unknown command: ${name}`)
}

function explainedWrite (
  name: 'update' | 'delete',
  namespace: string,
  command: Document,
  variables: Variables
): Explained {
  const list = command[`${name}s`]
  const first: unknown = Array.isArray(list) ? list[0] : undefined
  if (!isDocument(first)) throw new CommandError(2, `explain needs one ${name}`)
  const isMany = name === 'update' ? isTrue(first.multi) : isNumeric(first.limit) && Number(first.limit) === 0
  return {
    namespace,
    query: { ...parseQuery(first, 'q', variables), limit: isMany ? 0 : 1 },
    stage: name === 'update' ? 'UPDATE' : 'DELETE'
  }
}

async function exhaust (results: Results): Promise<number> {
  let count = 0
  for (let found = results.next(); found !== undefined; found = results.next()) {
    if (found === PAUSE) await setImmediate()
    else count++
  }
  return count
}

function outermost (stage: string | undefined, inputStage: Document): Document {
  return stage === undefined ? inputStage : { stage, inputStage }
}

/** The stages as MongoDB names them; with `count`, what they gave. */
function planTree ({ plan, isSortBlocking, cost }: Results, query: Query, count: number | undefined): Document {
  const direction = plan.reverse ? 'backward' : 'forward'
  const statistics = count === undefined ? {} : { nReturned: count }
  const filter = plan.exact ? {} : { filter: query.filter.source }
  const scan: Document = plan.index === undefined
    ? { stage: 'COLLSCAN', ...filter, direction, ...(count === undefined ? {} : { docsExamined: cost.docsExamined }) }
    : {
        stage: 'FETCH',
        ...filter,
        ...(count === undefined ? {} : { docsExamined: cost.docsExamined }),
        inputStage: {
          stage: 'IXSCAN',
          keyPattern: plan.index.spec.key,
          indexName: plan.index.name,
          isMultiKey: plan.index.multikey.size > 0,
          isUnique: plan.index.unique,
          isSparse: plan.index.sparse,
          isPartial: plan.index.partial !== undefined,
          direction,
          ...(count === undefined ? {} : { keysExamined: cost.keysExamined })
        }
      }
  if (isSortBlocking) {
    return {
      stage: 'SORT',
      ...statistics,
      sortPattern: Object.fromEntries(query.sort.map(({ path, direction }) => [path, direction])),
      inputStage: scan
    }
  }
  return query.limit > 0
    ? { stage: 'LIMIT', ...statistics, limitAmount: query.limit, inputStage: { ...scan, ...statistics } }
    : { ...scan, ...statistics }
}
