// On a server, without a window: every entry point can be imported, and nothing happens by that.
// Vue itself leaves something, for its developer tools.
const globals = () => Object.keys(globalThis).filter((name) => !name.startsWith('__VUE_')).sort().join()
const before = globals()
const entries = ['', '/account', '/axios', '/dpop', '/mock', '/vue']
const exported = {}
for (const entry of entries) {
  exported[`@keyturn/client${entry}`] = Object.keys(await import(`@keyturn/client${entry}`)).sort()
}
if (globals() !== before) throw new Error(`an import left something global: ${globals()}`)
process.stdout.write(JSON.stringify(exported))
