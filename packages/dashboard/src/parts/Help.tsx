import { useId, useLayoutEffect, useState } from 'preact/hooks';
import { metricText } from '../metrics.js';

/** What metrics mean, on hover and focus; Escape closes it. */
export function Help({ title, metrics }: { title: string; metrics: readonly string[] }) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  // With the text, not after it is painted: an Escape in between must not be lost.
  useLayoutEffect(() => {
    if (!isOpen) return;
    const onKey = (event: KeyboardEvent) => event.key === 'Escape' && setOpen(false);
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [isOpen]);
  const texts = metrics.map((name) => ({ name, ...metricText(name) }));
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only keeps the text open while the pointer is over it
    <span class="help" onMouseEnter={() => setOpen(true)} onMouseLeave={() => setOpen(false)}>
      <button
        type="button"
        class="quiet"
        aria-label={`What ${title} means`}
        aria-expanded={isOpen}
        aria-describedby={isOpen ? id : undefined}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onClick={() => setOpen(true)}
      >
        ?
      </button>
      <span role="tooltip" id={id} hidden={!isOpen}>
        {texts.map(({ name, title: own, help }) => (
          <span key={name} class="text">
            {texts.length > 1 && <b>{own}. </b>}
            {help} <code>{name}</code>
          </span>
        ))}
      </span>
    </span>
  );
}
