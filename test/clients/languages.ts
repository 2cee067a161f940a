import { copyFile, cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, pythonNeeds, pythonWith, run, type Command } from '../foreign-tools.ts'

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

async function filesIn (folder: string, ending: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true })
  return entries.filter((entry) => entry.endsWith(ending)).map((entry) => join(folder, entry))
}

const python: Language = {
  name: 'python',
  needs: pythonNeeds,
  async build (folder) {
    const interpreter = join(await pythonWith('python-client', await readFile(join(folder, 'requirements.txt'), 'utf8')), 'python')
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
