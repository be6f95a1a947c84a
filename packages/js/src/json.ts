/** Return what a text says in JSON; undefined for one that does not. */
export function parse<T>(text: string): T | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
