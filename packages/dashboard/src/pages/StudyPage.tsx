import { useState } from 'preact/hooks';
import type { AdjustedComparison, FamilyCurves, SeedMean, StudyState } from 'reanchor/serve';
import { Front, type FrontLine } from '../charts/Front.js';
import { paletteSize } from '../charts/lines.js';
import { useStudy } from '../data/stream.js';
import { ago, number, whole } from '../format.js';
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
          Dashed is the course of a run, solid the mean over seeds as far as all of them reach, and a point with its
          line the mean ends of a method over beta.{' '}
          <Choice label="Score" options={scores} value={quality} onChoose={onQuality} />
        </p>
        <Picture quality={quality} curves={curves} />
      </section>
      <Settings study={study} />
      <Comparisons study={study} />
      <Runs runs={study.runs} />
    </>
  );
}

interface ChoiceProps {
  label: string;
  options: readonly string[];
  value: string | undefined;
  onChoose(option: string): void;
}

function Choice({ label, options, value, onChoose }: ChoiceProps) {
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The chart of the methods that are ticked: at first as many as have a colour of their own. */
function Picture({ quality, curves }: Pick<StudyState, 'quality' | 'curves'>) {
  const [ticks, setTicks] = useState<ReadonlyMap<string, boolean>>(new Map());
  const isShown = (name: string, index: number) => ticks.get(name) ?? index < paletteSize;
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
        </fieldset>
      )}
      <Front
        quality={quality}
        fronts={curves.flatMap((family, i) => (isShown(family.name, i) ? linesOf(family, i) : []))}
      />
    </>
  );
}

/** The lines of a method: its ends, or its only run, are in the legend. */
function linesOf({ name, courses, means, ends }: FamilyCurves, index: number): FrontLine[] {
  const color = index % paletteSize;
  if (courses.length === 1) return [{ name, color, points: [...courses[0]!.points] }];
  return [
    ...courses.map(({ run, points }): FrontLine => ({ name: run, color, kind: 'course', points: [...points] })),
    ...means.map(({ arm, points }): FrontLine => ({ name: arm, color, kind: 'mean', points: [...points] })),
    { name, color, points: ends },
  ];
}

/** A mean over seeds and its standard error. */
const meanText = (value: SeedMean | undefined) =>
  value === undefined
    ? '–'
    : `${number(value.mean)}${value.error === undefined ? '' : ` ± ${number(Number(value.error.toPrecision(2)))}`}`;

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

/** Comparisons of more settings than so many are shown one setting at a time. */
const mostAtOnce = 12;

function Comparisons({ study: { comparisons, tests, quality } }: { study: StudyState }) {
  const [chosen, choose] = useState<string>();
  const forms = [...new Set(comparisons.map(({ a }) => a))];
  const all = forms.length <= mostAtOnce ? undefined : forms[0];
  const form = chosen !== undefined && forms.includes(chosen) ? chosen : all;
  const shown = form === undefined ? comparisons : comparisons.filter(({ a }) => a === form);
  return (
    <section class="group" aria-labelledby="comparisons">
      <h2 id="comparisons">Comparisons, seed by seed</h2>
      {comparisons.length === 0 ? (
        <Empty>There is one arm so far: nothing to compare.</Empty>
      ) : (
        <>
          <p class="sub">
            Differences in {quality} with 95 % intervals over seeds; Holm’s p holds for all {whole(tests)} of them.{' '}
            {all !== undefined && <Choice label="Setting" options={forms} value={form} onChoose={choose} />}
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
      <td>{way}</td>
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
