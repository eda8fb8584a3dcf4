/** Light or dark: as the system says, or as the person says. */
import { useLayoutEffect, useState } from 'preact/hooks';

export type ThemeChoice = 'system' | 'light' | 'dark';

const key = 'reanchor-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

export function themeChoice(): ThemeChoice {
  const stored = localStorage.getItem(key);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

export function setTheme(choice: ThemeChoice): void {
  if (choice === 'system') localStorage.removeItem(key);
  else localStorage.setItem(key, choice);
  applyTheme();
}

export function applyTheme(): void {
  const choice = isPrinting ? 'light' : themeChoice();
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  for (const listener of listeners) listener();
}

/** Paper is light, whatever the screen is; charts are drawn anew for it. */
let isPrinting = false;
export const isOnPaper = () => isPrinting;

export function watchPrinting(): void {
  const print = (is: boolean) => () => {
    isPrinting = is;
    applyTheme();
  };
  window.addEventListener('beforeprint', print(true));
  window.addEventListener('afterprint', print(false));
}

const effective = () => {
  const choice = isPrinting ? 'light' : themeChoice();
  return choice === 'system' ? (dark.matches ? 'dark' : 'light') : choice;
};

/** The theme that is shown now. */
export function useTheme(): 'light' | 'dark' {
  const [theme, set] = useState(effective);
  useLayoutEffect(() => {
    const onChange = () => set(effective());
    listeners.add(onChange);
    dark.addEventListener('change', onChange);
    return () => {
      listeners.delete(onChange);
      dark.removeEventListener('change', onChange);
    };
  }, []);
  return theme;
}
