type Unit = 's' | 'short' | 'reqps' | 'percentunit' | 'bytes' | 'currencyUSD' | 'none'

/** One line of a graph, or several by label. */
interface Query {
  readonly expr: string
  /** How the lines are named, such as `{{model}}`. */
  readonly legend: string
}

interface Graph {
  readonly title: string
  readonly unit: Unit
  readonly queries: readonly Query[]
}

// The variable of the dashboard, which the reader chooses.
const datasource = { type: 'prometheus', uid: '$datasource' }
const COLUMNS = 3
const [WIDTH, HEIGHT] = [8, 8]

const graph = (title: string, unit: Unit, ...queries: Query[]): Graph => ({ title, unit, queries })
const line = (expr: string, legend: string): Query => ({ expr, legend })
const rate = (series: string, by: string) => `sum by (${by}) (rate(${series}[$__rate_interval]))`
const quantile = (q: number, histogram: string, by = '') =>
  `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (rate(${histogram}_bucket[$__rate_interval])))`

/** The median, and what one in twenty and one in a hundred exceed. */
const spread = (title: string, histogram: string) =>
  graph(title, 's', ...[0.5, 0.95, 0.99].map((q) => line(quantile(q, histogram), `p${q * 100}`)))

function panel ({ title, unit, queries }: Graph, index: number) {
  return {
    id: index + 1,
    type: 'timeseries',
    title,
    datasource,
    gridPos: { x: (index % COLUMNS) * WIDTH, y: Math.floor(index / COLUMNS) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(({ expr, legend }, number) => ({ refId: String.fromCharCode(65 + number), datasource, expr, legendFormat: legend }))
  }
}

function dashboard (name: string, title: string, graphs: readonly Graph[]) {
  return {
    uid: `parley-${name}`,
    title: `Parley: ${title}`,
    tags: ['parley'],
    editable: false,
    schemaVersion: 41,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' }] },
    links: [{ type: 'dashboards', tags: ['parley'], title: 'Parley', asDropdown: false, includeVars: true, keepTime: true }],
    panels: graphs.map(panel)
  }
}

/** The processes, what they answer, and the store. */
const system = dashboard('system', 'system', [
  graph('Requests by status', 'reqps', line(rate('http_request_duration_seconds_count', 'status'), '{{status}}')),
  graph('Share that fails with 5xx', 'percentunit', line('parley:error_ratio:rate5m', 'five minutes'), line('parley:error_ratio:rate1h', 'one hour')),
  spread('Duration of requests', 'http_request_duration_seconds'),
  graph('p95 by route', 's', line(`topk(10, ${quantile(0.95, 'http_request_duration_seconds', 'route')})`, '{{route}}')),
  graph('Requests by route', 'reqps', line(`topk(10, ${rate('http_request_duration_seconds_count', 'route')})`, '{{route}}')),
  graph('Refused by a limit', 'reqps', line(rate('rate_limit_refusals_total', 'limit'), '{{limit}}')),
  graph('Refused by overload', 'reqps', line(rate('overload_refusals_total', 'instance'), '{{instance}}')),
  graph('Requests that wait, and replicas that refuse', 'short', line('sum by (instance) (requests_waiting)', '{{instance}}'), line('sum(overloaded)', 'refuse')),
  graph('Open streams', 'short', line('sum by (instance) (open_streams)', '{{instance}}')),
  graph('p95 of commands of the store', 's', line(quantile(0.95, 'store_command_duration_seconds', 'command'), '{{command}}')),
  graph('Commands of the store that fail', 'reqps', line(rate('store_command_failures_total', 'command'), '{{command}}')),
  graph('CPU', 'percentunit', line(rate('process_cpu_seconds_total', 'instance'), '{{instance}}')),
  graph('Memory', 'bytes', line('process_resident_memory_bytes', '{{instance}}'), line('nodejs_heap_size_used_bytes', '{{instance}}, heap')),
  graph('Lag of the event loop, p99', 's', line('nodejs_eventloop_lag_p99_seconds', '{{instance}}')),
  graph('Time in garbage collection', 'percentunit', line(rate('nodejs_gc_duration_seconds_sum', 'instance'), '{{instance}}')),
  graph('Background work was done last', 's', line('time() - max by (work) (job_last_run_timestamp_seconds)', '{{work}}, ago')),
  graph('Removed by retention in an hour', 'short', line('sum by (kind) (increase(retention_removed_total[1h]))', '{{kind}}')),
  graph('Replicas that answer', 'none', line('sum(up{job=~".*parley.*"})', 'replicas'))
])

/** The models. */
const ai = dashboard('ai', 'models', [
  graph('Calls by model', 'reqps', line(rate('ai_requests_total', 'model'), '{{model}}')),
  graph('Calls by outcome', 'reqps', line(rate('ai_requests_total', 'outcome'), '{{outcome}}')),
  graph('Share that succeeds', 'percentunit', line(
    'sum(rate(ai_requests_total{outcome="completed"}[$__rate_interval])) / sum(rate(ai_requests_total{outcome!="aborted"}[$__rate_interval]))', 'succeeds'
  )),
  graph('p95 of calls by model', 's', line(quantile(0.95, 'ai_request_duration_seconds', 'model'), '{{model}}')),
  spread('From the call to the first word', 'chat_first_token_seconds'),
  spread('From the call to the end of the reply', 'chat_response_time_seconds'),
  graph('Tokens', 'short', line(rate('ai_tokens_total', 'model, kind'), '{{model}}, {{kind}}')),
  graph('Cost of an hour', 'currencyUSD', line('sum by (model) (increase(ai_cost_usd_total[1h]))', '{{model}}')),
  graph('Calls after one that failed', 'reqps', line(rate('ai_retries_total', 'model'), '{{model}}')),
  graph('Models that are down', 'none', line('max by (model) (ai_breaker_open)', '{{model}}')),
  graph('Calls that wait and that are out', 'short', line('sum(ai_queue_depth)', 'wait'), line('sum(ai_requests_running)', 'are out')),
  spread('How long calls wait for their leave', 'ai_queue_wait_seconds')
])

/** What it is there for. */
const business = dashboard('business', 'conversations', [
  graph('Conversations of the last five minutes', 'short', line('sum(active_conversations)', 'conversations')),
  graph('Messages a minute', 'short', line('60 * sum by (role) (rate(chat_messages_total[$__rate_interval]))', '{{role}}')),
  graph('Messages of a day', 'short', line('sum by (role) (increase(chat_messages_total[1d]))', '{{role}}')),
  graph('Replies by how they ended', 'reqps', line(rate('chat_turns_total', 'status'), '{{status}}')),
  graph('Why replies failed', 'reqps', line(rate('chat_turns_total{code!=""}', 'code'), '{{code}}')),
  graph('Replies that are being written', 'short', line('sum(chat_turns_running)', 'replies')),
  spread('How long people wait for the first word', 'chat_first_token_seconds'),
  graph('Cost of a day', 'currencyUSD', line('sum by (model) (increase(ai_cost_usd_total[1d]))', '{{model}}')),
  graph('Cost of a thousand replies', 'currencyUSD', line('1000 * sum(increase(ai_cost_usd_total[1h])) / sum(increase(chat_messages_total{role="bot"}[1h]))', 'a thousand replies')),
  graph('Webhooks by outcome', 'reqps', line(rate('webhook_deliveries_total', 'outcome'), '{{outcome}}')),
  graph('Webhooks that wait', 'short', line('max(webhook_backlog)', 'webhooks')),
  graph('The oldest of them', 's', line('max(webhook_backlog_oldest_seconds)', 'waits'))
])

export const dashboards = [system, ai, business]

/** As Grafana reads it. */
export function fileOf (made: typeof system): { readonly name: string, readonly content: string } {
  return { name: `${made.uid.replace('parley-', '')}.json`, content: `${JSON.stringify(made, null, 2)}\n` }
}
