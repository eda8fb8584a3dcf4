import { useState } from 'preact/hooks';
import type { Route } from '../router.js';
import { setTheme, type ThemeChoice, themeChoice } from '../theme.js';

const pages: [page: Route['page'], href: string, name: string][] = [
  ['runs', '#/', 'Runs'],
  ['evaluation', '#/evaluation', 'Evaluations'],
  ['toy', '#/toy', 'Toy'],
];

export function Header({ page }: { page: Route['page'] }) {
  const [theme, set] = useState(themeChoice);
  const choose = (choice: ThemeChoice) => {
    setTheme(choice);
    set(choice);
  };
  const current = ['run', 'compare', 'study'].includes(page) ? 'runs' : page;
  return (
    <header>
      <span class="brand">reanchor</span>
      <nav aria-label="Pages">
        {pages.map(([name, href, title]) => (
          <a key={name} href={href} aria-current={name === current ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <label class="theme">
        <span class="hidden">Colours</span>
        <select value={theme} onChange={(event) => choose(event.currentTarget.value as ThemeChoice)}>
          <option value="system">System</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
    </header>
  );
}

/** The heading of a page, which is read out when it opens. */
export function Title({ children }: { children: string }) {
  document.title = `${children} · reanchor`;
  return <h1 tabIndex={-1}>{children}</h1>;
}
