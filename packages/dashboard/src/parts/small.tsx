import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { RunStatus, RunSummary } from 'reanchor/serve';
import { scale } from '../charts/svg.js';
import type { Connection } from '../data/connect.js';
import { metricText } from '../metrics.js';

const statusWords: Record<RunStatus, string> = {
  running: 'Running',
  finished: 'Finished',
  interrupted: 'Interrupted',
  failed: 'Failed',
  stopped: 'Stopped',
};
const statusHelp: Record<RunStatus, string> = {
  running: 'its process is there, or events still come',
  finished: 'all planned steps were made, or its recipe ended it early',
  interrupted: 'it was ended before its last step',
  failed: 'it ended with an error, which its page shows',
  stopped: 'its process is gone, or no event has come for long, and the run did not say that it ended',
};

export function Status({ status }: { status: RunStatus }) {
  return (
    <span class={`status ${status}`} title={statusHelp[status]}>
      {statusWords[status]}
    </span>
  );
}

/** The course of a run in the height of a line of text. */
export function Sparkline({ sparkline: { steps, values, metric } }: Pick<RunSummary, 'sparkline'>) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const x = scale([steps[0]!, steps.at(-1)!], 1, 99);
  const y = scale([Math.min(...known), Math.max(...known)], 23, 2);
  const points = steps.flatMap((step, i) =>
    values[i] === null ? [] : `${x(step).toFixed(1)},${y(values[i]!).toFixed(1)}`,
  );
  return (
    <svg
      class="sparkline"
      viewBox="0 0 100 25"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${metricText(metric).title} over the run`}
    >
      <polyline points={points.join(' ')} />
    </svg>
  );
}

export function Lost({ connection }: { connection: Connection }) {
  if (connection === 'refused') {
    return (
      <p class="banner warn" role="alert">
        This dashboard is not open to this page: open the address that <code>reanchor dashboard</code> printed, token
        included. It has another one each time it is started.
      </p>
    );
  }
  if (connection !== 'lost') return null;
  return (
    <p class="banner warn" role="status">
      The server does not answer; what is shown may be old. It is asked again every few seconds.
    </p>
  );
}

/** Something that is not there yet, or not at all. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** A name of any length in two lines: the pointer and the focus show all of it. */
export function Name({ children, href, title = children }: { children: string; href: string; title?: string }) {
  return (
    <a class="clamp" href={href} title={title}>
      {children}
    </a>
  );
}

/** Something wider than a phone, such as a table: a shadow says where it goes on, and keys scroll it. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  const place = useRef<HTMLElement>(null);
  const [more, setMore] = useState('');
  useLayoutEffect(() => {
    const element = place.current!;
    const look = () => {
      const { scrollLeft, scrollWidth, clientWidth } = element;
      const sides = [scrollLeft > 1 ? 'left' : '', scrollLeft + clientWidth < scrollWidth - 1 ? 'right' : ''];
      setMore(sides.filter(Boolean).join(' '));
    };
    look();
    const resized = new ResizeObserver(look);
    for (const one of [element, element.firstElementChild!]) resized.observe(one);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);
  return (
    <section ref={place} class="scroll" data-more={more} tabIndex={more === '' ? undefined : 0} aria-label={label}>
      {children}
    </section>
  );
}
