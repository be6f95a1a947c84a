/** What went over the network, and what happened between: the rows of the sequence diagram. */

import { reactive, watch } from "vue";
import { rightNow } from "./clock";

export type Lane = "auth" | "api";

/** `waiting` until there is an outcome; `lost`: there was an answer, and nobody saw it. */
export type Outcome = "waiting" | "ok" | "refused" | "failed" | "lost";

export interface Arrow {
  kind: "arrow";
  id: number;
  /** Milliseconds since the epoch, by the right clock. */
  at: number;
  to: Lane;
  /** Method and path. */
  what: string;
  /** What it carried that matters, e.g. the last letters of a token. */
  carried: string;
  outcome: Outcome;
  /** The outcome in words. */
  answer: string;
  /** Whether it asked for new tokens. */
  refresh: boolean;
}

export interface Note {
  kind: "note";
  id: number;
  at: number;
  text: string;
  /** A fault of the panel, or something that the client did. */
  fault: boolean;
}

export type Row = Arrow | Note;

const KEY = "demo.trail";
const MOST = 40;

/** The latest rows, the oldest first. They outlive a redirect, in this tab. */
export const trail = reactive<Row[]>(restored());

watch(trail, (rows) => sessionStorage.setItem(KEY, JSON.stringify(rows)));

function restored(): Row[] {
  const kept = sessionStorage.getItem(KEY);
  return kept ? (JSON.parse(kept) as Row[]) : [];
}

function append<R extends Row>(row: R): R {
  trail.push(row);
  if (trail.length > MOST) trail.splice(0, trail.length - MOST);
  return trail.at(-1) as R; // the reactive one: what changes in it is seen
}

function nextId(): number {
  return (trail.at(-1)?.id ?? 0) + 1;
}

export function addArrow(sent: Pick<Arrow, "to" | "what" | "carried" | "refresh">): Arrow {
  return append({
    kind: "arrow", id: nextId(), at: rightNow(), outcome: "waiting", answer: "", ...sent,
  });
}

export function addNote(text: string, fault = false): void {
  append({ kind: "note", id: nextId(), at: rightNow(), text, fault });
}

export function clearTrail(): void {
  trail.splice(0);
}

/** One row as a sentence, for those who do not see the picture. */
export function sentence(row: Row): string {
  if (row.kind === "note") return `Browser: ${row.text}`;
  const to = row.to === "auth" ? "the auth server" : "the API";
  const carried = row.carried ? ` with ${row.carried}` : "";
  return `Browser to ${to}: ${row.what}${carried}. ${row.answer || "Waiting for the answer"}.`;
}
