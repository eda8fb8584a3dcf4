import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ResultEntry } from 'reanchor/serve';
import { useList } from '../data/stream.js';
import { ago } from '../format.js';
import { resultHref } from '../router.js';
import { Empty, Lost } from './small.js';

/** The files of results of a kind; the newest one is opened. `children` says how to make one where there is none. */
export function Results({
  page,
  kind,
  id,
  children,
}: {
  page: 'evaluation' | 'toy';
  kind: ResultEntry['kind'];
  id: string | undefined;
  children: ComponentChildren;
}) {
  const { list, connection } = useList();
  const entries = list?.results.filter((entry) => entry.kind === kind) ?? [];
  const newest = entries[0]?.id;
  useEffect(() => {
    if (id === undefined && newest !== undefined) location.replace(resultHref(page, newest));
  }, [page, id, newest]);
  if (!list) {
    return (
      <>
        <Lost connection={connection} />
        <Empty>Looking for results…</Empty>
      </>
    );
  }
  if (entries.length === 0) return <Empty>{children}</Empty>;
  return (
    <nav class="results" aria-label="Results">
      {entries.map((entry) => (
        <a key={entry.id} href={resultHref(page, entry.id)} aria-current={entry.id === id ? 'page' : undefined}>
          <b>{entry.id}</b> <span>{entry.title}</span> <span class="of">{ago(entry.time)}</span>
        </a>
      ))}
    </nav>
  );
}
