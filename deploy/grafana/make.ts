import { writeFile } from 'node:fs/promises'
import { dashboards, fileOf } from './dashboards.ts'

for (const dashboard of dashboards) {
  const { name, content } = fileOf(dashboard)
  await writeFile(new URL(`dashboards/${name}`, import.meta.url), content)
}
