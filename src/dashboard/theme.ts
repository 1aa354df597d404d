import { signal } from '@preact/signals';

/** Dark or light: as the system says until the person chooses. The choices are all that the page keeps in the browser. */

const THEME = 'theme';
const SHORTCUTS = 'shortcuts';
type Theme = 'dark' | 'light';

const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const system = (): Theme => (prefersDark.matches ? 'dark' : 'light');

/** A browser that keeps nothing (a private window with storage off) is no reason to fail. */
function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // The choice lasts until the page is closed.
  }
}

const chosen = stored(THEME);
let isChosen = chosen === 'dark' || chosen === 'light';
export const theme = signal<Theme>(chosen === 'dark' || chosen === 'light' ? chosen : system());
apply();

prefersDark.addEventListener('change', () => {
  if (isChosen) return;
  theme.value = system();
  apply();
});

export function toggleTheme(): void {
  isChosen = true;
  theme.value = theme.value === 'dark' ? 'light' : 'dark';
  store(THEME, theme.value);
  apply();
}

function apply(): void {
  document.documentElement.dataset['theme'] = theme.value;
}

/** Whether single keys act: people who dictate switch them off. */
export const shortcuts = signal(stored(SHORTCUTS) !== 'off');

export function setShortcuts(on: boolean): void {
  shortcuts.value = on;
  store(SHORTCUTS, on ? 'on' : 'off');
}
