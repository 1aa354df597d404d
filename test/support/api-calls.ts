import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Finds in the source which requests to the API a client makes, by following their paths back to where they are written. */

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

/** A function that makes a request: where its method and its path are. */
export interface Requester {
  readonly method: string | { readonly argument: number };
  readonly path: number;
}

export interface ApiCalls {
  /** `GET /v1/items/{}`. */
  readonly operations: ReadonlySet<string>;
  /** Requests whose path cannot be found out, as `file:line`. */
  readonly unknown: readonly string[];
}

/** Functions that lengthen a path: the first argument, then for `path` the other parts. */
const PATH_FUNCTIONS: ReadonlySet<string> = new Set(['at', 'withQuery', 'path']);
const DEEPEST = 12;

/** @param requesters by name; `.call` is that of an object, `call` a function of the client */
export function apiCallsOf(folder: string, requesters: Readonly<Record<string, Requester>>): ApiCalls {
  const nodes = readdirSync(SRC + folder, { encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .flatMap((name) => nodesOf(`${SRC}${folder}/${name}`));
  const find = finderOf(nodes);
  const operations = new Set<string>();
  const unknown: string[] = [];
  for (const node of nodes) {
    if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) continue;
    const requester = requesters[calleeOf(node)];
    const [pathNode, methodNode] = [requester?.path, methodAt(requester)].map((at) => node.arguments?.[at ?? -1]);
    if (requester === undefined || pathNode === undefined) continue;
    const methods = typeof requester.method === 'string' ? [requester.method] : find.texts(methodNode);
    const paths = find.texts(pathNode);
    if (paths.length === 0 || methods.length === 0) unknown.push(placeOf(node));
    for (const method of methods) for (const path of paths) operations.add(`${method} ${normal(path)}`);
  }
  return { operations, unknown };
}

/** Path parameters have no names, and there is no query. */
export function normal(path: string): string {
  return `/${path
    .replace(/^\//, '')
    .replace(/\?.*$/s, '')
    .replaceAll(/\{\w*\}/g, '{}')}`;
}

function methodAt(requester: Requester | undefined): number | undefined {
  return typeof requester?.method === 'object' ? requester.method.argument : undefined;
}

function nodesOf(file: string): ts.Node[] {
  const found: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true));
  return found;
}

function calleeOf({ expression }: ts.CallExpression | ts.NewExpression): string {
  if (ts.isIdentifier(expression)) return expression.text;
  return ts.isPropertyAccessExpression(expression) ? `.${expression.name.text}` : '';
}

function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  return `${file.fileName.replace(SRC, '')}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

type Function = ts.FunctionDeclaration | ts.ArrowFunction | ts.FunctionExpression;

const isFunction = (node: ts.Node): node is Function =>
  ts.isFunctionDeclaration(node) || ts.isArrowFunction(node) || ts.isFunctionExpression(node);

/** Follows expressions to the texts that they can be. None: unknown. */
function finderOf(nodes: readonly ts.Node[]) {
  /** The expressions that a name, or a property of what has this name, stands for. */
  const meanings = (name: ts.Identifier, property: string | null, depth: number): ts.Expression[] => {
    const declared = declarationOf(name);
    if (declared === null) return [];
    const inner = ts.isBindingElement(declared) ? (declared.propertyName ?? declared.name) : null;
    if (inner !== null && property !== null) return [];
    const wanted = inner === null ? property : inner.getText();
    let owner: ts.Node = declared;
    while (!ts.isParameter(owner) && !ts.isVariableDeclaration(owner)) owner = owner.parent;
    const sources = ts.isParameter(owner) ? given(owner) : owner.initializer ? [owner.initializer] : [];
    return wanted === null ? sources : sources.flatMap((source) => members(source, wanted, depth + 1));
  };

  /** Where a name is declared: in the functions around it, or at the top of any file. */
  const declarationOf = (
    name: ts.Identifier,
  ): ts.BindingElement | ts.ParameterDeclaration | ts.VariableDeclaration | null => {
    const named = nodes.filter(
      (node): node is ts.BindingElement | ts.ParameterDeclaration | ts.VariableDeclaration =>
        (ts.isBindingElement(node) || ts.isParameter(node) || ts.isVariableDeclaration(node)) &&
        node.name.getText() === name.text,
    );
    for (let around: ts.Node = name; !ts.isSourceFile(around); around = around.parent) {
      const found = named.find((node) => scopeOf(node) === around);
      if (found !== undefined) return found;
    }
    const top = named.filter((node) => ts.isSourceFile(scopeOf(node)));
    return top.find((node) => node.getSourceFile() === name.getSourceFile()) ?? top[0] ?? null;
  };

  /** What the callers of a function give for a parameter; for a component its attributes, as one object. */
  const given = (parameter: ts.ParameterDeclaration): ts.Expression[] => {
    const owner = parameter.parent as Function;
    const name = ts.isVariableDeclaration(owner.parent) ? owner.parent.name.getText() : owner.name?.text;
    const index = owner.parameters.indexOf(parameter);
    const others = nodes.filter((node) => sees(node.getSourceFile(), owner.getSourceFile(), name ?? ''));
    return others.flatMap((node): ts.Expression[] => {
      if (ts.isCallExpression(node) && calleeOf(node) === name) return node.arguments.slice(index, index + 1);
      const isElement = ts.isJsxSelfClosingElement(node) || ts.isJsxOpeningElement(node);
      return isElement && node.tagName.getText() === name ? [node.attributes] : [];
    });
  };

  /** The values of a property of an object. */
  const members = (object: ts.Expression, property: string, depth: number): ts.Expression[] => {
    if (depth > DEEPEST) return [];
    const node = bare(object);
    if (ts.isIdentifier(node)) return meanings(node, null, depth).flatMap((each) => members(each, property, depth + 1));
    const parts: readonly ts.Node[] =
      ts.isObjectLiteralExpression(node) || ts.isJsxAttributes(node) ? [...node.properties].reverse() : [];
    for (const part of parts) {
      if (ts.isSpreadAssignment(part) || ts.isJsxSpreadAttribute(part)) {
        const found = members(part.expression, property, depth + 1);
        if (found.length > 0) return found;
      } else if (ts.isPropertyAssignment(part) && part.name.getText() === property) return [part.initializer];
      else if (ts.isJsxAttribute(part) && part.name.getText() === property) {
        const value =
          part.initializer && ts.isJsxExpression(part.initializer) ? part.initializer.expression : part.initializer;
        return value === undefined ? [] : [value];
      }
    }
    return [];
  };

  const texts = (expression: ts.Expression | undefined, depth = 0): string[] => {
    if (expression === undefined || depth > DEEPEST) return [];
    const node = bare(expression);
    const deeper = (each: ts.Expression): string[] => texts(each, depth + 1);
    if (ts.isStringLiteralLike(node)) return [node.text];
    if (ts.isConditionalExpression(node)) return [...deeper(node.whenTrue), ...deeper(node.whenFalse)];
    if (ts.isIdentifier(node)) return meanings(node, null, depth).flatMap(deeper);
    if (ts.isPropertyAccessExpression(node)) return members(node.expression, node.name.text, depth).flatMap(deeper);
    if (ts.isTemplateExpression(node)) {
      const pieces = node.templateSpans.map(({ expression: each, literal }) => ({ each, after: literal.text }));
      return pieces.reduce((heads, { each, after }) => joined(heads, deeper(each), after), [node.head.text]);
    }
    const [first, ...parts] = ts.isCallExpression(node) && PATH_FUNCTIONS.has(calleeOf(node)) ? node.arguments : [];
    if (first === undefined) return [];
    if (!ts.isCallExpression(node) || calleeOf(node) !== 'path') return deeper(first);
    return parts.reduce(
      (heads, part) =>
        joined(
          heads.map((head) => `${head}/`),
          deeper(part),
          '',
        ),
      deeper(first),
    );
  };
  return { texts };
}

/** Whether a name in a file means the function of this name in another. */
function sees(file: ts.SourceFile, other: ts.SourceFile, name: string): boolean {
  return file === other || new RegExp(`import [^;]*\\b${name}\\b[^;]* from`).test(file.text);
}

/** After a slash an unknown piece is a parameter; anywhere else it is a query. */
function joined(heads: readonly string[], pieces: readonly string[], after: string): string[] {
  return heads.flatMap((head) => {
    const known = pieces.length > 0 ? pieces : [head.endsWith('/') ? '{}' : ''];
    return known.map((piece) => `${head}${piece}${after}`);
  });
}

function bare(expression: ts.Expression): ts.Expression {
  const isWrapped =
    ts.isAsExpression(expression) ||
    ts.isSatisfiesExpression(expression) ||
    ts.isParenthesizedExpression(expression) ||
    ts.isAwaitExpression(expression);
  return isWrapped ? bare(expression.expression) : expression;
}

/** The function or file in which a declaration holds. */
function scopeOf(node: ts.Node): ts.Node {
  let around = node.parent;
  while (!isFunction(around) && !ts.isSourceFile(around)) around = around.parent;
  return around;
}
