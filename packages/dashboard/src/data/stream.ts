/** What the server tells, as it comes. */
import { useEffect, useState } from 'preact/hooks';
import type { Result, RunList, RunPatch, RunSeriesData, RunState, StreamEvents } from 'reanchor/serve';
import { merge } from './merge.js';

/** connecting; open; lost: the server does not answer, and is asked again. */
export type Connection = 'connecting' | 'open' | 'lost';

/** A stream that rests while the page is hidden: a browser has only a few connections to a server. */
function open(
  query: string,
  handlers: { [Name in keyof StreamEvents]?: (data: StreamEvents[Name]) => void },
  onConnection: (connection: Connection) => void,
): () => void {
  let source: EventSource | undefined;
  const start = () => {
    source = new EventSource(`./api/stream?${query}`);
    source.onopen = () => onConnection('open');
    source.onerror = () => onConnection('lost');
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)));
    }
  };
  const onVisibility = () => {
    source?.close();
    if (!document.hidden) start();
  };
  document.addEventListener('visibilitychange', onVisibility);
  start();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    source?.close();
  };
}

export function useList(): { list: RunList | undefined; connection: Connection } {
  const [list, setList] = useState<RunList>();
  const [connection, setConnection] = useState<Connection>('connecting');
  useEffect(() => open('list=1', { list: setList }, setConnection), []);
  return { list, connection };
}

export interface FollowedRuns {
  states: ReadonlyMap<string, RunState>;
  /** What is wrong, by run. */
  problems: ReadonlyMap<string, string>;
  connection: Connection;
}

export function useRuns(ids: readonly string[]): FollowedRuns {
  const [states, setStates] = useState<ReadonlyMap<string, RunState>>(new Map());
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map());
  const [connection, setConnection] = useState<Connection>('connecting');
  const key = ids.join('\n');
  useEffect(() => {
    setStates(new Map());
    setProblems(new Map());
    if (key === '') return;
    const put = (state: RunState) => {
      setStates((known) => new Map(known).set(state.id, state));
      setProblems((known) => new Map([...known].filter(([id]) => id !== state.id)));
    };
    const patch = (fresh: RunPatch) =>
      setStates((known) => {
        const state = known.get(fresh.id);
        return state ? new Map(known).set(fresh.id, merge(state, fresh)) : known;
      });
    const problem = ({ id, message }: StreamEvents['problem']) =>
      setProblems((known) => new Map(known).set(id, message));
    const query = key
      .split('\n')
      .map((id) => `run=${encodeURIComponent(id)}`)
      .join('&');
    return open(query, { state: put, patch, problem }, setConnection);
  }, [key]);
  return { states, problems, connection };
}

/** The series of some steps of a run, in full detail. */
export async function fetchSeries(id: string, from: number, to: number): Promise<RunSeriesData> {
  return request(`./api/series?run=${encodeURIComponent(id)}&from=${from}&to=${to}`);
}

export function useResult(id: string | undefined): { result: Result | undefined; problem: string | undefined } {
  const [answer, setAnswer] = useState<{ id: string; result?: Result; problem?: string }>();
  useEffect(() => {
    if (id === undefined) return;
    let isCurrent = true;
    request<Result>(`./api/result?id=${encodeURIComponent(id)}`).then(
      (result) => isCurrent && setAnswer({ id, result }),
      (error: Error) => isCurrent && setAnswer({ id, problem: error.message }),
    );
    return () => {
      isCurrent = false;
    };
  }, [id]);
  const current = answer?.id === id ? answer : undefined;
  return { result: current?.result, problem: current?.problem };
}

async function request<T>(path: string): Promise<T> {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return (await response.json()) as T;
}
