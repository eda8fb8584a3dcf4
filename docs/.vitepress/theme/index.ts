import '@fontsource-variable/source-serif-4/wght.css';
import '@fontsource-variable/source-serif-4/wght-italic.css';
import theme from 'vitepress/theme-without-fonts';
import './style.css';

export default theme;
