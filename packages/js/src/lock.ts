/** Milliseconds to wait for another tab: a frozen one may hold the lock forever. */
const PATIENCE = 3000;

/**
 * Do `work` while no other tab does. The lock only saves requests: without it, or when it cannot
 * be had in time, the work is done all the same, and the server's grace makes that right. It is
 * never stolen, because whoever lost it could not know.
 */
export async function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  let begun: Promise<T> | undefined;
  // Not granted in time, or what the work itself threw: the last line tells which.
  await globalThis.navigator?.locks
    ?.request(name, { signal: AbortSignal.timeout(PATIENCE) }, () => (begun = work()))
    .catch(() => {});
  return begun ?? work();
}
