// Hooks that several views share.

import { useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";

const SPARE = 4; // rows beyond each edge: what the keyboard moves to next is there already

/**
 * Which rows of a long list are on the screen: all have one height, and the page itself scrolls.
 * Give { ref, start, end, rowHeight }: `ref` goes to the element whose top is the top of the rows.
 * @param count rows in all
 * @param heightName the custom property that holds the height of a row in pixels
 */
export function useVisibleRows(count, heightName) {
  const ref = useRef(null);
  const [{ start, end, rowHeight }, set] = useState({ start: 0, end: Math.min(count, 40), rowHeight: 40 });
  useLayoutEffect(() => {
    const measure = () => {
      const height = parseFloat(getComputedStyle(ref.current).getPropertyValue(heightName)) || 40;
      const above = Math.max(0, -ref.current.getBoundingClientRect().top);
      const first = Math.max(0, Math.floor(above / height) - SPARE);
      const last = Math.min(count, Math.ceil((above + innerHeight) / height) + SPARE);
      set((old) =>
        old.start === first && old.end === last && old.rowHeight === height
          ? old
          : { start: first, end: last, rowHeight: height },
      );
    };
    measure();
    addEventListener("scroll", measure, { passive: true });
    addEventListener("resize", measure);
    return () => {
      removeEventListener("scroll", measure);
      removeEventListener("resize", measure);
    };
  }, [count]);
  return { ref, start: Math.min(start, count), end: Math.min(Math.max(end, 0), count), rowHeight };
}

/**
 * Ask the server again and again, never twice at a time.
 * Give the newest answer of `load`, or null before the first. It is asked again when `key` (what is asked for) or `turn`
 * changes. A failure keeps the old answer: the page tells of a lost server by itself.
 */
export function usePolled(key, turn, load) {
  const [answer, setAnswer] = useState(null);
  const asking = useRef(null);
  useEffect(() => {
    if (asking.current === key) return;
    asking.current = key;
    const done = (body) => {
      if (asking.current !== key) return;
      asking.current = null;
      if (body) setAnswer({ key, body });
    };
    load().then(done, () => done(null));
  }, [key, turn]);
  return answer?.key === key ? answer.body : null;
}
