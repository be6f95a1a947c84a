/** What a browser has and Node has not: tabs that share channels, locks and storage. */

import { vi } from "vitest";
import { type Auth, type AuthOptions, createAuth } from "../../src/index.js";
import { ISSUER, type Issuer } from "./issuer.js";

/** localStorage and the like. */
export class FakeStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

const channels = new Set<FakeChannel>();

/** Tells every other one of its name, a moment later. */
class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | undefined;
  constructor(readonly name: string) {
    channels.add(this);
  }
  postMessage(data: unknown): void {
    const copy = structuredClone(data);
    for (const one of channels) if (one !== this && one.name === this.name) queueMicrotask(() => one.onmessage?.({ data: copy }));
  }
  close(): void {
    channels.delete(this);
  }
}

/** `navigator.locks`, first come first served. */
export class FakeLocks {
  #tail = Promise.resolve<unknown>(undefined);
  held = false;
  async request(_: string, { signal }: { signal: AbortSignal }, work: () => Promise<unknown>): Promise<unknown> {
    const before = this.#tail;
    let release = (_: unknown) => {};
    this.#tail = new Promise((resolve) => (release = resolve));
    const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))));
    try {
      await Promise.race([before, aborted]);
    } catch (refusal) {
      void before.then(() => release(undefined));
      throw refusal;
    }
    this.held = true;
    try {
      return await work();
    } finally {
      this.held = false;
      release(undefined);
    }
  }
}

export interface Browser {
  local: FakeStorage;
  session: FakeStorage;
  window: EventTarget;
  locks: FakeLocks;
  /** Where the page was sent. */
  left: string[];
  location: { href: string; origin: string };
}

/** Put a browser around the tests of a file; its clocks and timers stand until they are moved. */
export function openBrowser(): Browser {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: 1_800_000_000_000 });
  vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), milliseconds);
    return abort.signal;
  });
  channels.clear();
  const left: string[] = [];
  const window = new EventTarget();
  const location = { href: "https://app.example.com/", origin: "https://app.example.com", assign: (url: string) => left.push(url) };
  const history = { state: null, replaceState: (_: unknown, __: string, url: URL) => void (location.href = url.href) };
  const browser = { local: new FakeStorage(), session: new FakeStorage(), locks: new FakeLocks(), window, left, location };
  const globals = {
    ...{ document: {}, BroadcastChannel: FakeChannel, localStorage: browser.local, sessionStorage: browser.session },
    ...{ location, history, navigator: { onLine: true, locks: browser.locks } },
    addEventListener: window.addEventListener.bind(window),
    removeEventListener: window.removeEventListener.bind(window),
  };
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
  return browser;
}

export function closeBrowser(): void {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
}

/** A tab of the application. */
export function tab(issuer: Issuer, options: Partial<AuthOptions> = {}): Auth {
  const given = { issuer: ISSUER, clientId: "app", apis: ["https://api.example.com"], fetch: issuer.fetch };
  return createAuth({ ...given, ...options });
}

export const ADA = { email: "ada@example.com", password: "correct" };
export const ORDERS = "https://api.example.com/orders";

/** Let a promise settle while the clock moves on, `step` milliseconds at a time. */
export async function moving<T>(work: Promise<T>, step = 250): Promise<T> {
  let done = false;
  const end = () => void (done = true);
  work.then(end, end);
  for (let i = 0; i < 400 && !done; i++) await vi.advanceTimersByTimeAsync(step);
  if (!done) throw new Error("it did not end within 400 steps of the clock");
  return work;
}
