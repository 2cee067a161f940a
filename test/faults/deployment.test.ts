import { execFile } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { runCommand } from '../../src/backup/command.ts'
import { Environment } from '../../src/config.ts'
import { cache } from '../foreign-tools.ts'

const root = new URL('../../', import.meta.url).pathname
const read = async (path: string) => await readFile(root + path, 'utf8')
// The last one is read by the exporter of traces itself.
const known = new Set([...Object.keys(Environment.properties), 'OTEL_EXPORTER_OTLP_HEADERS'])
const foreign = (names: string[]) => names.filter((name) => !known.has(name))

interface Operation { readonly parameters?: Array<{ in?: string, name?: string, $ref?: string }> }
const document = JSON.parse(await read('openapi.json')) as {
  paths: Record<string, Record<string, Operation>>
  components: { parameters?: Record<string, { in: string, name: string }> }
}
const shutdownSeconds = Number(/SHUTDOWN_MS = ([\d_]+)/.exec(await read('src/server.ts'))![1]!.replaceAll('_', '')) / 1000

interface Service {
  readonly environment?: Record<string, string | null>
  readonly volumes?: string[]
  readonly stop_grace_period?: string
}
const compose = parse(await read('docker-compose.yml'), { merge: true }) as { services: Record<string, Service>, volumes: Record<string, unknown> }
const replicas = Object.keys(compose.services).filter((name) => /^parley-\d$/.test(name))

t.test('the compose file says nothing that Parley does not know, and mounts what is there', async (t) => {
  t.equal(replicas.length, 2)
  for (const [name, { environment, volumes = [], stop_grace_period: grace }] of Object.entries(compose.services)) {
    if (name.startsWith('parley')) {
      t.strictSame(foreign(Object.keys(environment!)), [], name)
      t.ok(Number.parseInt(grace!) > shutdownSeconds, `${name} has the time to go down`)
    }
    for (const volume of volumes) {
      const from = volume.split(':')[0]!
      if (from.startsWith('./')) await t.resolves(access(root + from), from)
      else t.ok(from in compose.volumes, from)
    }
  }
})

t.test('nginx and Prometheus know every replica', async (t) => {
  const upstream = await read('deploy/nginx/upstream.conf')
  const prometheus = parse(await read('deploy/prometheus/prometheus.yml')) as { scrape_configs: Array<{ job_name: string, static_configs: Array<{ targets: string[] }> }> }
  const addresses = replicas.map((name) => `${name}:3000`)
  t.strictSame(upstream.match(/(?<=server )\S+/g), addresses)
  t.strictSame(prometheus.scrape_configs.find((job) => job.job_name === 'parley')!.static_configs[0]!.targets, addresses)
})

t.test('nginx asks another replica for exactly what takes an Idempotency-Key, and has one', async (t) => {
  const [, pattern] = /"~(\^\(POST .*)" 1;/.exec(await read('deploy/nginx/nginx.conf'))!
  const repeatable = new RegExp(pattern!)
  const takesKey = ({ parameters = [] }: Operation) => parameters
    .map((parameter) => parameter.$ref === undefined ? parameter : document.components.parameters![parameter.$ref.split('/').at(-1)!]!)
    .some(({ in: place, name }) => place === 'header' && name!.toLowerCase() === 'idempotency-key')
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const line = `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '6a5f0c2e9b1d4e7f8a3c5b60')}`
      t.equal(repeatable.test(`${line} key`), takesKey(operation), line)
      t.notOk(repeatable.test(`${line} `), `${line} without a key`)
    }
  }
})

t.test('the guides name nothing that is not there', async (t) => {
  for (const guide of ['SECURITY.md', 'docs/operations.md', 'docs/scaling.md', 'docs/upgrade.md', 'docs/disaster-recovery.md', 'docs/threat-model.md', 'docs/security.md']) {
    const text = await read(guide)
    const links = [...text.matchAll(/\]\(([\w./-]+)\)/g)].map(([, path]) => join(dirname(guide), path!))
    const named = [...text.matchAll(/`((?:test|deploy|docs|bench|\.ci|\.github)\/[\w./-]*)`/g)].map(([, path]) => path!)
    for (const path of new Set([...links, ...named])) await t.resolves(access(root + path), `${guide}: ${path}`)
    const variables = [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name]) => name!)
    t.strictSame(foreign(variables), [], guide)
  }
})

// Where .ci/deploy has put it.
const helm = join(cache, 'tools/helm-v3.16.4/helm')
const withoutHelm = await access(helm).then(() => false, () => 'there is no helm')

interface Probe { readonly httpGet: { path: string } }

interface Container {
  readonly env: Array<{ name: string }>
  readonly envFrom: Array<{ secretRef?: { name: string } }>
  readonly lifecycle: { preStop: { sleep: { seconds: number } } }
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}

interface Labels { readonly 'app.kubernetes.io/name': string }

interface BackupPod {
  readonly metadata: { labels: Labels }
  readonly spec: { containers: [{ args: string[], volumeMounts: Array<{ mountPath: string }> }] }
}

interface MigrationPod {
  readonly metadata: { labels: Labels }
  readonly spec: { containers: [{ args: string[], env: Array<{ name: string }>, envFrom: Array<{ secretRef: { name: string } }> }] }
}

interface Manifests {
  readonly Job: { metadata: { annotations: Record<string, string> }, spec: { template: MigrationPod } }
  readonly CronJob: { spec: { jobTemplate: { spec: { template: BackupPod } } } }
  readonly Service: { spec: { selector: Labels } }
  readonly ConfigMap: { data: Record<string, string> }
  readonly Deployment: {
    spec: { replicas?: number, template: { spec: { containers: [Container], terminationGracePeriodSeconds: number, automountServiceAccountToken: boolean } } }
  }
  readonly ExternalSecret: { spec: { target: { name: string }, data: Array<{ secretKey: string }> } }
  readonly HorizontalPodAutoscaler: { spec: { metrics: Array<{ resource: { name: string, target: { averageUtilization: number } } }> } }
  readonly Ingress: { spec: { rules: [{ http: { paths: Array<{ path: string }> } }] } }
  readonly NetworkPolicy: { spec: { egress: Array<{ ports: Array<{ port: number }> }> } }
}

async function render (...args: string[]): Promise<Manifests> {
  const { stdout } = await promisify(execFile)(helm, ['template', 'parley', `${root}deploy/helm/parley`, '--kube-version', '1.30.0', ...args])
  const manifests = parseAllDocuments(stdout).map((document) => document.toJS() as { kind: keyof Manifests })
  return Object.fromEntries(manifests.map((manifest) => [manifest.kind, manifest])) as unknown as Manifests
}

t.test('the chart makes what is asked of it', { skip: withoutHelm }, async (t) => {
  const all = await render('-f', `${root}deploy/helm/parley/ci/everything-values.yaml`)
  t.strictSame(Object.keys(all).sort(), [
    'ConfigMap', 'CronJob', 'Deployment', 'ExternalSecret', 'HorizontalPodAutoscaler', 'Ingress', 'Job', 'NetworkPolicy', 'PodDisruptionBudget',
    'Service', 'ServiceAccount', 'ServiceMonitor'
  ])
  const { Deployment: deployment, ExternalSecret: secret, HorizontalPodAutoscaler: scaling, Ingress: ingress } = all
  const pod = deployment.spec.template.spec
  const [container] = pod.containers

  t.strictSame(foreign([...Object.keys(all.ConfigMap.data), ...container.env.map(({ name }) => name)]), [])
  t.strictSame(foreign(secret.spec.data.map(({ secretKey }) => secretKey)), [])
  t.equal(secret.spec.target.name, container.envFrom[1]!.secretRef!.name)

  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) t.ok(container[probe].httpGet.path in document.paths, probe)
  t.ok(container.lifecycle.preStop.sleep.seconds + shutdownSeconds < pod.terminationGracePeriodSeconds, 'it has the time to go down')
  t.match(container, {
    resources: { requests: { cpu: '250m', memory: '512Mi' }, limits: { cpu: '500m', memory: '1Gi' } },
    securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }
  })
  t.equal(pod.automountServiceAccountToken, false)

  t.match(scaling, { spec: { minReplicas: 2, maxReplicas: 10 } })
  t.strictSame(scaling.spec.metrics.map(({ resource }) => [resource.name, resource.target.averageUtilization]), [['cpu', 70], ['memory', 80]])
  t.equal(deployment.spec.replicas, undefined, 'or each upgrade would undo it')

  const open = ingress.spec.rules[0].http.paths.map(({ path }) => path)
  const reached = (path: string) => open.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))
  t.strictSame(Object.keys(document.paths).filter((path) => !reached(path)), ['/metrics'], 'all but the metrics is reached from outside')

  const fixed = await render('-f', `${root}deploy/helm/parley/ci/fixed-values.yaml`)
  t.equal(fixed.Deployment.spec.replicas, 1)
  const { metadata, spec: { containers: [{ args: [script, ...args], volumeMounts }] } } = all.CronJob.spec.jobTemplate.spec.template
  t.strictSame([script, ...args], ['src/backup/main.ts', 'backup', '--into', volumeMounts[0]!.mountPath, '--keep', '14'])
  t.match(await runCommand(args, { MONGODB_URI: 'here' }), { code: 1 }, 'it is understood')
  await access(`${root}${script}`)
  t.not(metadata.labels['app.kubernetes.io/name'], all.Service.spec.selector['app.kubernetes.io/name'], 'no requests go to it')

  const { Job: job } = all
  const { metadata: { labels }, spec: { containers: [migration] } } = job.spec.template
  t.equal(job.metadata.annotations['helm.sh/hook'], 'pre-upgrade')
  t.strictSame(migration.args, ['src/migrate/main.ts'])
  await access(`${root}${migration.args[0]}`)
  t.equal(migration.envFrom[0]!.secretRef.name, secret.spec.target.name)
  t.strictSame(migration.env.map(({ name }) => name), Object.keys(all.ConfigMap.data))
  t.not(labels['app.kubernetes.io/name'], all.Service.spec.selector['app.kubernetes.io/name'], 'no requests go to it')
  for (const without of ['migrations.job.enabled=false', 'migrations=null']) t.notOk('Job' in await render('--set', without), 'left out, or values of an earlier chart')

  const ways = async (...args: string[]) => (await render('--show-only', 'templates/networkpolicy.yaml', ...args)).NetworkPolicy.spec.egress.map(
    ({ ports }) => ports.map(({ port }) => port)
  )
  const [names, store, ...rest] = await ways()
  for (const [endpoint, port] of [['http://collector.monitoring:4318', 4318], ['https://[fd00::1]/otlp', 443], ['http://10.0.0.7', 80]] as const) {
    t.strictSame(await ways('--set', `config.OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}`), [names, store, [port], ...rest], endpoint)
  }
  t.strictSame(await ways('--set', 'config.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318', '--set', 'networkPolicy.tracesTo=null'), [names, store, ...rest])

  await t.rejects(render('--set', 'backup.enabled=true'), /backup.claimName/)
  await t.rejects(render('--set', 'secrets.external.enabled=true'), /secrets.external.storeRef.name is needed/)
})
