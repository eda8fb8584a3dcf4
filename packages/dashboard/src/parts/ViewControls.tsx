import { useState } from 'preact/hooks';

export interface View {
  /** The steps that are shown; undefined: all. */
  range: readonly [number, number] | undefined;
  smoothing: number;
}

const smoothings: [weight: number, name: string][] = [
  [0, 'none'],
  [0.8, 'light'],
  [0.97, 'strong'],
];
const light = smoothings[1]![0];
const key = 'reanchor-smoothing';

/** All steps at first, as smooth as they were looked at last. */
export function useView(): [View, (view: View) => void] {
  const [view, setView] = useState<View>(() => {
    const stored = localStorage.getItem(key);
    const known = smoothings.find(([weight]) => stored === String(weight));
    return { range: undefined, smoothing: known?.[0] ?? light };
  });
  const set = (next: View) => {
    if (next.smoothing !== view.smoothing) localStorage.setItem(key, String(next.smoothing));
    setView(next);
  };
  return [view, set];
}

/** What charts show: the steps, typed or marked in a chart by dragging, and how smooth the curves are. */
export function ViewControls({ last, view, onView }: { last: number; view: View; onView: (view: View) => void }) {
  const [from, to] = view.range ?? [0, last];
  const set = (low: number, high: number) => {
    if (low >= 0 && high > low) onView({ ...view, range: [low, high] });
  };
  return (
    <form class="range" onSubmit={(event) => event.preventDefault()} aria-label="What the charts show">
      <label>
        Steps{' '}
        <input
          type="number"
          min={0}
          max={last}
          value={from}
          onChange={(event) => set(event.currentTarget.valueAsNumber, to)}
          aria-label="First step"
        />
      </label>
      to
      <input
        type="number"
        min={1}
        value={to}
        onChange={(event) => set(from, event.currentTarget.valueAsNumber)}
        aria-label="Last step"
      />
      {view.range ? (
        <button type="button" class="quiet" onClick={() => onView({ ...view, range: undefined })}>
          Whole run
        </button>
      ) : (
        <span class="sub">or drag in a chart</span>
      )}
      <label class="smoothing">
        Smoothing{' '}
        <select
          value={view.smoothing}
          onChange={(event) => onView({ ...view, smoothing: Number(event.currentTarget.value) })}
        >
          {smoothings.map(([weight, name]) => (
            <option key={weight} value={weight}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}
