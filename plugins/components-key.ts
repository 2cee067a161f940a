const numbers = new Map<string, number>()
const known = new WeakMap<object, number>()

/** One number for all components that say the same: each app has copies of its own. */
function numberOf (component: object): number {
  const text = JSON.stringify(component)
  const number = numbers.get(text) ?? numbers.size
  numbers.set(text, number)
  known.set(component, number)
  return number
}

/**
 * Names a set of components, the same for sets that say the same. Each plugin of routes asks for compilers, and all of them,
 * in all apps of a process, have nearly always the same components; to write these out each time took a third of a start.
 */
export function componentsKey (components: unknown): string {
  return Object.values(components as Record<string, object>).map((component) => known.get(component) ?? numberOf(component)).join()
}
