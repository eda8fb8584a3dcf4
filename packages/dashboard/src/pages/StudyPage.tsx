import { useState } from 'preact/hooks';
import type { AdjustedComparison, SeedMean, StudyState } from 'reanchor/serve';
import { Front } from '../charts/Front.js';
import { familyLines } from '../charts/front-lines.js';
import { paletteSize } from '../charts/lines.js';
import { armGrid, type Cell } from '../data/arm-grid.js';
import { type Best, bestWithin, budgetsOf } from '../data/budgets.js';
import { useStudy } from '../data/stream.js';
import { ago, estimate, number, percent, whole } from '../format.js';
import { Title } from '../parts/Header.js';
import { Empty, Lost, Scroll, Status } from '../parts/small.js';
import { runHref } from '../router.js';

export function StudyPage({ id }: { id: string }) {
  const [quality, setQuality] = useState<string>();
  const { study, problem, connection } = useStudy(id, quality);
  return (
    <>
      <p class="crumbs">
        <a href="#/">Runs</a>
      </p>
      <Title>{`Study ${id}`}</Title>
      <Lost connection={connection} />
      {problem && <p class="banner warn">{problem}</p>}
      {study ? <Study study={study} onQuality={setQuality} /> : !problem && <Empty>Reading the results…</Empty>}
    </>
  );
}

function Study({ study, onQuality }: { study: StudyState; onQuality: (quality: string) => void }) {
  const { done, of, time, quality, scores, curves } = study;
  return (
    <>
      <p class="sub">
        {whole(done)} {of !== undefined && `of ${whole(of)} `}runs are measured to their end; newest result {ago(time)}.
        The numbers are those of <code>reanchor eval front</code>.
      </p>
      <section class="group" aria-labelledby="front">
        <h2 id="front">Quality against KL</h2>
        <p class="sub">
          A band is the mean over seeds of a setting, with its 95 % interval, as far as all seeds reach; a point is the
          mean end of a setting with its intervals, and a line through points a method over beta. Dashed is the course
          of a run. <Choice label="Score" options={namedThemselves(scores)} value={quality} onChoose={onQuality} />
        </p>
        <Picture quality={quality} curves={curves} />
      </section>
      <Budgets study={study} />
      <Arms study={study} />
      <Settings study={study} />
      <Comparisons study={study} />
      <Runs runs={study.runs} />
    </>
  );
}

interface Option {
  name: string;
  title: string;
}

const namedThemselves = (names: readonly string[]): Option[] => names.map((name) => ({ name, title: name }));

interface ChoiceProps {
  label: string;
  options: readonly Option[];
  value: string | undefined;
  onChoose(option: string): void;
}

function Choice({ label, options, value, onChoose }: ChoiceProps) {
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map(({ name, title }) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Courses of more runs would hide their means, and are drawn when they are asked for. */
const mostCourses = 40;

/** The chart of the methods that are ticked: at first as many as have a colour of their own. */
function Picture({ quality, curves }: Pick<StudyState, 'quality' | 'curves'>) {
  const [ticks, setTicks] = useState<ReadonlyMap<string, boolean>>(new Map());
  const isShown = (name: string, index: number) => ticks.get(name) ?? index < paletteSize;
  const shown = curves.flatMap((family, i) => (isShown(family.name, i) ? familyLines(family, i) : []));
  const courses = shown.filter(({ kind }) => kind === 'course');
  const hasCourses = ticks.get('') ?? courses.length <= mostCourses;
  return (
    <>
      {curves.length > 1 && (
        <fieldset class="ticks">
          <legend class="hidden">Methods that are drawn</legend>
          {curves.map(({ name }, i) => (
            <label key={name}>
              <input
                type="checkbox"
                checked={isShown(name, i)}
                onChange={(event) => setTicks(new Map(ticks).set(name, event.currentTarget.checked))}
              />{' '}
              {name}
            </label>
          ))}
          {courses.length > 0 && (
            <label>
              <input
                type="checkbox"
                checked={hasCourses}
                onChange={(event) => setTicks(new Map(ticks).set('', event.currentTarget.checked))}
              />{' '}
              the course of each run
            </label>
          )}
        </fieldset>
      )}
      <Front quality={quality} fronts={hasCourses ? shown : shown.filter(({ kind }) => kind !== 'course')} />
    </>
  );
}

/** A mean over seeds and its standard error. */
const meanText = (value: SeedMean | undefined) => (value ? estimate(value.mean, value.error) : '–');

/** The best of each method within budgets of KL. */
function Budgets({ study: { curves, quality } }: { study: StudyState }) {
  const budgets = budgetsOf(curves);
  if (budgets.length === 0) return null;
  const rows = curves.map((family) => ({ name: family.name, best: budgets.map((kl) => bestWithin(family, kl)) }));
  const qualities = budgets.map((_, i) => rows.flatMap(({ best }) => best[i]?.quality ?? []));
  // One that shares the first place is not marked.
  const isMost = (i: number, quality: number | undefined) =>
    quality === Math.max(...qualities[i]!) && qualities[i]!.filter((other) => other === quality).length === 1;
  return (
    <section class="group" aria-labelledby="budgets">
      <h2 id="budgets">Best within a budget of KL</h2>
      <p class="sub">
        The best mean {quality} over seeds that a method has up to a KL, along training, with its 95 % interval and the
        setting; ★ is the best of a budget. The same seeds choose and measure here, so the best is somewhat too high:{' '}
        <code>reanchor eval front --tune-seeds</code> parts the two.
      </p>
      <Scroll label="Table of budgets">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Method</th>
              {budgets.map((kl) => (
                <th scope="col" class="number" key={kl}>
                  up to {number(kl)} nats
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, best }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {best.map((one, i) => (
                  <td class="number" key={budgets[i]}>
                    <BestCell best={one} isMost={isMost(i, one?.quality)} method={name} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function BestCell({ best, isMost, method }: { best: Best | undefined; isMost: boolean; method: string }) {
  if (!best) return <>–</>;
  const { quality, interval, arm, kl } = best;
  const setting = arm.startsWith(`${method} `) ? arm.slice(method.length + 1) : '';
  return (
    <>
      {isMost ? <b>★ {number(quality)}</b> : number(quality)}
      <span class="model">
        {interval && `${number(interval.low)} to ${number(interval.high)}, `}
        {setting && `${setting}, `}KL {number(kl)}
      </span>
    </>
  );
}

/** A row for each setting, a cell for each seed: what its run has come to. */
function Arms({ study: { id, curves, quality, runs } }: { study: StudyState }) {
  const { seeds, rows } = armGrid(curves, runs);
  if (rows.length === 0) return null;
  const above = id === '.' ? '' : `${id}/`;
  return (
    <section class="group" aria-labelledby="arms">
      <h2 id="arms">Arms, run by run</h2>
      <p class="sub">The {quality} at the end of each run; the stronger the colour, the higher among all.</p>
      <Scroll label="Grid of arms">
        <table class="plain arms">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              {seeds.map((seed) => (
                <th scope="col" class="number" key={seed}>
                  seed {seed}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, cells }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {cells.map((cell, i) => (
                  <td class="number" key={seeds[i]} data-level={cell?.level}>
                    <ArmCell cell={cell} above={above} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function ArmCell({ cell, above }: { cell: Cell | undefined; above: string }) {
  if (!cell) return <>–</>;
  const { folder, quality, run } = cell;
  const share = run?.steps ? percent(run.step / run.steps) : '';
  const text = quality === undefined ? [run?.status, share].filter(Boolean).join(' ') : number(quality);
  return <span>{run ? <a href={runHref(above + folder)}>{text}</a> : text}</span>;
}

function Settings({ study: { settings, scores } }: { study: StudyState }) {
  return (
    <section class="group" aria-labelledby="settings">
      <h2 id="settings">Settings</h2>
      <p class="sub">Means over seeds ± their standard errors; the best measurement is that of each run.</p>
      <Scroll label="Table of settings">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col" class="number">
                Seeds
              </th>
              {scores.flatMap((score) =>
                [`end ${score}`, 'at KL', `best ${score}`, 'at KL'].map((title, i) => (
                  <th scope="col" class="number" key={`${score} ${i}`}>
                    {title}
                  </th>
                )),
              )}
            </tr>
          </thead>
          <tbody>
            {settings.map(({ arm, seeds, scores: found }) => (
              <tr key={arm}>
                <th scope="row">{arm}</th>
                <td class="number">{seeds}</td>
                {scores.flatMap((score) => {
                  const { end, best } = found[score] ?? {};
                  return [end?.quality, end?.kl, best?.quality, best?.kl].map((value, i) => (
                    <td class="number" key={`${score} ${i}`}>
                      {meanText(value)}
                    </td>
                  ));
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

/** The ways in which settings are compared, in words. */
const ways: Record<AdjustedComparison['way'], string> = {
  end: 'at the end',
  best: 'at the best measurement',
  training: 'along training, at equal KL',
  ends: 'ends over beta, at equal KL',
};
const everything = 'all';
/** Of more rows those of the end are shown at first. */
const mostRows = 40;

/** Of many comparisons those of one way, and one setting, are shown. */
function Comparisons({ study: { comparisons, tests, quality } }: { study: StudyState }) {
  const found = Object.keys(ways).filter((way) => comparisons.some((one) => one.way === way));
  const forms = [...new Set(comparisons.map(({ a }) => a))];
  const rows = comparisons.reduce((sum, one) => sum + one.rows.length, 0);
  const [way, setWay] = useState<string>(rows > mostRows ? 'end' : everything);
  const [form, setForm] = useState<string>(everything);
  const shown = comparisons.filter((one) => [one.way, everything].includes(way) && [one.a, everything].includes(form));
  const ofWays = [everything, ...found].map((name) => ({ name, title: ways[name as keyof typeof ways] ?? name }));
  return (
    <section class="group" aria-labelledby="comparisons">
      <h2 id="comparisons">Comparisons, seed by seed</h2>
      {comparisons.length === 0 ? (
        <Empty>There is one arm so far: nothing to compare.</Empty>
      ) : (
        <>
          <p class="sub">
            Differences in {quality} with 95 % intervals over seeds; Holm’s p holds for all {whole(tests)} of them.{' '}
            <Choice label="Compared" options={ofWays} value={way} onChoose={setWay} />{' '}
            {forms.length > 1 && (
              <Choice
                label="Setting"
                options={namedThemselves([everything, ...forms])}
                value={form}
                onChoose={setForm}
              />
            )}
          </p>
          <ComparisonTable comparisons={shown} />
        </>
      )}
    </section>
  );
}

function ComparisonTable({ comparisons }: { comparisons: readonly AdjustedComparison[] }) {
  return (
    <Scroll label="Table of comparisons">
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Arms</th>
            <th scope="col">By</th>
            {['KL', 'Difference', 'Interval', 'Holm’s p', 'Seeds'].map((title) => (
              <th scope="col" class="number" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{comparisons.flatMap(comparisonRows)}</tbody>
      </table>
    </Scroll>
  );
}

function comparisonRows({ a, b, way, isPaired, rows }: AdjustedComparison) {
  return rows.map(({ kl, a: ours, b: theirs, difference, interval, holm, seeds }, i) => (
    // Places in KL come in the same order each time.
    <tr key={`${a} ${b} ${way} ${i}`}>
      <th scope="row">
        {a} against {b}
        {!isPaired && ', unpaired'}
      </th>
      <td>{ways[way]}</td>
      <td class="number">{kl === undefined ? `${number(theirs?.kl)}, ${number(ours?.kl)}` : number(kl)}</td>
      <td class="number">{number(difference)}</td>
      <td class="number">{interval ? `${number(interval.low)} to ${number(interval.high)}` : '–'}</td>
      <td class="number">{number(holm)}</td>
      <td class="number">{isPaired ? seeds.both : `${seeds.ofB}, ${seeds.ofA}`}</td>
    </tr>
  ));
}

function Runs({ runs }: Pick<StudyState, 'runs'>) {
  return (
    <section class="group" aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      <Scroll label="Table of runs">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Status</th>
              <th scope="col" class="number">
                Step
              </th>
            </tr>
          </thead>
          <tbody>
            {runs.map(({ id, name, status, step, steps }) => (
              <tr key={id}>
                <th scope="row">
                  <a href={runHref(id)}>{name}</a>
                </th>
                <td>
                  <Status status={status} />
                </td>
                <td class="number">
                  {whole(step)}
                  {steps !== undefined && <span class="of"> / {whole(steps)}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
