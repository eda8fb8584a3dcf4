/** The moment that chat templates tell as now: a run does not depend on the day on which it is looked at. */
import type { Recipe } from '../recipe/index.js';

/** When something began, in UTC and on the clock of the machine where it did. */
interface Began {
  recipe: Pick<Recipe, 'data'>;
  time: string;
  localTime?: string | undefined;
}

/**
 * The moment that the chat templates of a run tell as now, wherever and whenever they are rendered again: by its recipe
 * (`data.date`), else when the run began, on the clock of the machine where it did.
 */
export function templateNow({ recipe, localTime, time }: Began): Date {
  return recipeDate(recipe) ?? new Date(localTime ?? time);
}

/** The day that a recipe sets for chat templates, if it does. */
export function recipeDate({ data: { date } }: Pick<Recipe, 'data'>): Date | undefined {
  return date === undefined ? undefined : new Date(`${date}T00:00:00`);
}

/** A moment on this machine's clock, without its time zone: `2026-11-28T22:18:04`. */
export function localTimeOf(time: Date): string {
  const shifted = new Date(time.getTime() - 60_000 * time.getTimezoneOffset());
  return shifted.toISOString().slice(0, 19);
}
