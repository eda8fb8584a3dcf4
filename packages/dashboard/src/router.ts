/** Where the page is: the part of its address after `#`. */
import { useLayoutEffect, useState } from 'preact/hooks';

export type Route =
  | { page: 'runs' }
  | { page: 'run'; id: string }
  | { page: 'compare'; ids: string[] }
  | { page: 'study'; id: string }
  | { page: 'evaluation'; id: string | undefined }
  | { page: 'toy'; id: string | undefined };

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page, id] = path.split('/');
  const given = id === undefined || id === '' ? undefined : decode(id);
  if ((page === 'run' || page === 'study') && given !== undefined) return { page, id: given };
  if (page === 'compare') return { page, ids: new URLSearchParams(query).getAll('run') };
  if (page === 'evaluation' || page === 'toy') return { page, id: given };
  return { page: 'runs' };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const runHref = (id: string) => `#/run/${encodeURIComponent(id)}`;
export const studyHref = (id: string) => `#/study/${encodeURIComponent(id)}`;
export const resultHref = (page: 'evaluation' | 'toy', id: string) => `#/${page}/${encodeURIComponent(id)}`;
export const compareHref = (ids: readonly string[]) =>
  `#/compare?${ids.map((id) => `run=${encodeURIComponent(id)}`).join('&')}`;

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  // Before the page is painted, so that no change is missed.
  useLayoutEffect(() => {
    const onChange = () => {
      setRoute(parseRoute(location.hash));
      window.scrollTo(0, 0);
    };
    window.addEventListener('hashchange', onChange);
    return () => window.removeEventListener('hashchange', onChange);
  }, []);
  return route;
}
