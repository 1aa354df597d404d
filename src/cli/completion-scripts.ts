import { COMMAND } from '../program-name.js';

/** A command, as a shell completes it. */
export interface Completed {
  /** The words that lead to it, such as `channels add`; empty: the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly word: string; readonly text: string }[];
  readonly options: readonly CompletedOption[];
  /** All values that its arguments may have, if they are known. */
  readonly values: readonly string[];
  readonly takesFile: boolean;
}

export interface CompletedOption {
  readonly flags: readonly string[];
  readonly text: string;
  readonly takes: 'nothing' | 'file' | 'value';
  /** The values, if they are known. */
  readonly values: readonly string[];
}

/** All three scripts first find the command in the typed words (`at`), without options and their values. */

export function bashScript(all: readonly Completed[]): string {
  const cases = all.map((each) => {
    const set = [`options=${single(flagsOf(each.options).join(' '))}`, `words=${single(wordsOf(each).join(' '))}`];
    return `    ${single(each.path)}) ${set.join(' ')} files=${each.takesFile ? 'yes' : ''} ;;\n`;
  });
  return `# Completes ${COMMAND} in bash. To load it: source <(${COMMAND} completion bash)
_whapi_resync_gateway() {
  local cur=\${COMP_WORDS[COMP_CWORD]} at='' words='' options='' files='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in ${flagsThatTake(all, ['file', 'value']).join('|')}) ((i++)); continue ;; esac
    case "$at \${COMP_WORDS[i]}" in ${pathsOf(all).map(single).join('|')}) at="\${at:+$at }\${COMP_WORDS[i]}" ;; esac
  done
  case $at in
${cases.join('')}  esac
  [[ $cur == -* || -z $words$files ]] && words=$options files=''
  case \${COMP_WORDS[COMP_CWORD - 1]} in
    ${flagsThatTake(all, ['file']).join('|')}) words='' files=yes ;;
    ${flagsThatTake(all, ['value']).join('|')}) words='' files='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $files ]]; then
    local IFS=$'\\n'
    compopt -o filenames 2> /dev/null
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}
complete -F _whapi_resync_gateway ${COMMAND}
`;
}

export function zshScript(all: readonly Completed[]): string {
  const cases = all.map(({ path, commands, values, options, takesFile }) => {
    const words = [...commands.map(({ word, text }) => `${word}:${text}`), ...values].map(single);
    const flags = options.flatMap((each) => each.flags.map((flag) => single(`${flag}:${each.text}`)));
    return `    (${single(path)}) entries=(${words.join(' ')}) files=${takesFile ? 'yes' : ''}\n      options=(${flags.join(' ')}) ;;\n`;
  });
  return `#compdef ${COMMAND}
# Completes ${COMMAND} in zsh. Save it as _${COMMAND} in a folder of $fpath, or, after compinit:
# source <(${COMMAND} completion zsh)
_${COMMAND}() {
  local at='' files='' i
  local -a entries options
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in (${flagsThatTake(all, ['file', 'value']).join('|')}) ((i++)); continue ;; esac
    case "$at $words[i]" in (${pathsOf(all).map(single).join('|')}) at="\${at:+$at }$words[i]" ;; esac
  done
  case $words[CURRENT-1] in
    (${flagsThatTake(all, ['file']).join('|')}) _files; return ;;
    (${flagsThatTake(all, ['value']).join('|')}) return 1 ;;
  esac
  case $at in
${cases.join('')}  esac
  if [[ $PREFIX == -* || ( \${#entries} -eq 0 && -z $files ) ]]; then
    _describe -o option options
  else
    (( \${#entries} )) && _describe command entries
    [[ -n $files ]] && _files
  fi
}
if [[ $funcstack[1] == _${COMMAND} ]]; then
  _${COMMAND} "$@"
else
  compdef _${COMMAND} ${COMMAND}
fi
`;
}

export function fishScript(all: readonly Completed[]): string {
  const lines = all.flatMap(({ path, commands, options, values, takesFile }) => {
    const start = `complete -c ${COMMAND} -n ${fishQuoted(`__whapi_resync_gateway_at ${path}`.trim())}`;
    return [
      ...commands.map(({ word, text }) => `${start} -a ${word} -d ${fishQuoted(text)}`),
      ...(values.length > 0 ? [`${start} -a ${fishQuoted(values.join(' '))}`] : []),
      ...(takesFile ? [`${start} -F`] : []),
      ...options.map((each) => `${start} ${fishFlags(each)} -d ${fishQuoted(each.text)}`),
    ];
  });
  return `# Completes ${COMMAND} in fish. Save it as ~/.config/fish/completions/${COMMAND}.fish
function __whapi_resync_gateway_at
    set -l at ''
    set -l skip no
    set -l typed (commandline -opc)
    set -e typed[1]
    for word in $typed
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case ${flagsThatTake(all, ['file', 'value']).join(' ')}
                set skip yes
                continue
        end
        switch "$at $word"
            case ${pathsOf(all).map(fishQuoted).join(' ')}
                set at (string trim -- "$at $word")
        end
    end
    test "$at" = "$argv"
end
complete -c ${COMMAND} -f
${lines.join('\n')}
`;
}

function fishFlags({ flags, takes, values }: CompletedOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const value = { nothing: '', file: ' -r -F', value: ' -x' }[takes];
  return `${names.join(' ')}${value}${values.length > 0 ? ` -a ${fishQuoted(values.join(' '))}` : ''}`;
}

const wordsOf = ({ commands, values }: Completed): string[] => [...commands.map(({ word }) => word), ...values];

const flagsOf = (options: readonly CompletedOption[]): string[] => options.flatMap(({ flags }) => flags);

/** The flags of any command that take one of these. A flag with a file in one command has one in all. */
function flagsThatTake(all: readonly Completed[], what: readonly CompletedOption['takes'][]): string[] {
  const options = all.flatMap((each) => each.options);
  return [...new Set(flagsOf(options.filter(({ takes }) => what.includes(takes))))];
}

/** The words of each command, with an empty word before those of the first level. */
function pathsOf(all: readonly Completed[]): string[] {
  return all.flatMap(({ path }) => (path === '' ? [] : [path.includes(' ') ? path : ` ${path}`]));
}

const single = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
