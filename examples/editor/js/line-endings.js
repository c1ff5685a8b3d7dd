/** Texts with the line endings of other systems: a textarea shows all of them as line feeds, and must change none. */
import { diffLines } from "./diff.js";

const WINDOWS = "\r\n";

/** Return a text that JSON and the service accept: without halves of characters, and without NUL. */
export const cleanText = (text) => text.toWellFormed().replaceAll("\0", "");

export const shownText = (text) => (text ?? "").replace(/\r\n?/g, "\n");

/** Return the text of a textarea with the line endings that `stored` has; new lines get those of most others. */
export function storedText(stored, shown) {
  if (!stored?.includes("\r")) return shown;
  if (shownText(stored) === shown) return stored;
  const lines = stored.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
  const isWindows = lines.filter((line) => line.endsWith(WINDOWS)).length * 2 > lines.length;
  const converted = (line) => (isWindows ? line.replace(/\n$/, WINDOWS) : line);
  let place = 0;
  const texts = diffLines(shownText(stored), shown).map(({ kind, line }) => {
    if (kind === "added") return converted(line);
    const original = lines[place++];
    return kind === "same" ? original : "";
  });
  return texts.join("");
}
