import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import './style/base.css';
import './style/runs.css';
import './style/charts.css';
import './style/texts.css';
import './style/print.css';
import { takeToken } from './data/door.js';
import { ComparePage } from './pages/ComparePage.js';
import { EvaluationPage } from './pages/EvaluationPage.js';
import { RunPage } from './pages/RunPage.js';
import { RunsPage } from './pages/RunsPage.js';
import { StudyPage } from './pages/StudyPage.js';
import { ToyPage } from './pages/ToyPage.js';
import { Header } from './parts/Header.js';
import { type Route, useRoute } from './router.js';
import { applyTheme, watchPrinting } from './theme.js';

function App() {
  const route = useRoute();
  // Another route is another page, whose heading is read first.
  useEffect(() => {
    const heading = document.querySelector('h1');
    if (heading && location.hash !== '') heading.focus();
  }, [route]);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('content')?.focus()}>
        Skip to the content
      </button>
      <Header page={route.page} />
      <main id="content" tabIndex={-1}>
        <Page route={route} />
      </main>
    </>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'runs':
      return <RunsPage />;
    case 'run':
      return <RunPage key={route.id} id={route.id} />;
    case 'compare':
      return <ComparePage ids={route.ids} />;
    case 'study':
      return <StudyPage key={route.id} id={route.id} />;
    case 'evaluation':
      return <EvaluationPage id={route.id} />;
    case 'toy':
      return <ToyPage id={route.id} />;
  }
}

takeToken();
applyTheme();
watchPrinting();
render(<App />, document.getElementById('app')!);
