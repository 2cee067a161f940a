import { access, copyFile, cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { cache, run, type Command } from './generator.ts'

const here = (path: string) => join(import.meta.dirname, path)
const bin = (name: string) => here(`../../node_modules/.bin/${name}`)

/** What a generated client needs to be a program, in one language. */
export interface Language {
  readonly name: string
  /** What must run on this machine, beside what the generator needs. */
  readonly needs: readonly Command[]
  /** Compiles the client in `folder` with our program, and gives the command that runs it. */
  readonly build: (folder: string) => Promise<Command>
}

/** A folder in the cache that is made once for each `content`. What was cut off is made anew. */
async function cached (name: string, content: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cache, `${name}-${createHash('sha256').update(content).digest('hex').slice(0, 12)}`)
  const done = join(folder, '.done')
  if (await access(done).then(() => false, () => true)) {
    await mkdir(folder, { recursive: true })
    await make(folder)
    await writeFile(done, '')
  }
  return folder
}

async function filesIn (folder: string, ending: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true })
  return entries.filter((entry) => entry.endsWith(ending)).map((entry) => join(folder, entry))
}

const python: Language = {
  name: 'python',
  needs: [['python3', '-m', 'venv', '--help']],
  async build (folder) {
    const requirements = join(folder, 'requirements.txt')
    const venv = await cached('python', await readFile(requirements, 'utf8'), async (venv) => {
      await run('python3', ['-m', 'venv', venv])
      await run(join(venv, 'bin/pip'), ['install', '-q', '--disable-pip-version-check', '-r', requirements])
    })
    const interpreter = join(venv, 'bin/python')
    await run(interpreter, ['-W', 'error', '-m', 'compileall', '-q', folder])
    await copyFile(here('python/smoke.py'), join(folder, 'smoke.py'))
    return [interpreter, join(folder, 'smoke.py')]
  }
}

const go: Language = {
  name: 'go',
  needs: [['go', 'version']],
  async build (folder) {
    await mkdir(join(folder, 'smoke'))
    await copyFile(here('go/smoke.go'), join(folder, 'smoke/main.go'))
    await run('go', ['build', './...'], { cwd: folder })
    await run('go', ['build', '-o', 'conversation', './smoke'], { cwd: folder })
    return [join(folder, 'conversation')]
  }
}

const java: Language = {
  name: 'java',
  needs: [['javac', '-version']],
  async build (folder) {
    const pom = join(folder, 'pom.xml')
    const libraries = await cached('java', await readFile(pom, 'utf8'), async (libraries) => {
      await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=compile', `-DoutputDirectory=${libraries}`])
    })
    const classes = join(folder, 'classes')
    const classPath = `${join(libraries, '*')}:${classes}`
    const sources = [...await filesIn(join(folder, 'src/main/java'), '.java'), here('java/Smoke.java')]
    await run('javac', ['-nowarn', '-proc:none', '-cp', classPath, '-d', classes, ...sources])
    return ['java', '-cp', classPath, 'Smoke']
  }
}

const typescriptFetch: Language = {
  name: 'typescript-fetch',
  needs: [],
  async build (folder) {
    // The client as a folder beside our program.
    const aside = `${folder}-client`
    await rename(folder, aside)
    await mkdir(folder)
    await cp(aside, join(folder, 'client'), { recursive: true })
    await copyFile(here('typescript-fetch/smoke.ts'), join(folder, 'smoke.ts'))
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
      compilerOptions: { strict: true, target: 'es2022', module: 'commonjs', outDir: 'built', types: [], lib: ['es2022', 'dom', 'dom.iterable'] }
    }))
    await run(bin('tsc'), ['--project', folder])
    return [process.execPath, join(folder, 'built/smoke.js')]
  }
}

export const languages: readonly Language[] = [python, go, java, typescriptFetch]
