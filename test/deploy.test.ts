import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../src/config.js';
import { WEBHOOK_HTTP_METHODS } from '../src/model.js';
import type { PostgresLocation } from '../src/postgres-url.js';
import { WEBHOOK_SECRET } from './support/client.js';
import { temporaryFolder } from './support/files.js';
import { until } from './support/intervals.js';
import { startProcess } from './support/process.js';
import { freePort } from './support/sockets.js';
import { textWebhook } from './support/texts.js';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
/** Which programs can try the files is a matter of the machine; what is asserted without them is not. */
const isInstalled = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** The settings that the README lists. */
const SETTINGS = new Set(
  [...textOf('README.md').matchAll(/^\| ((?:`[A-Z_]+`(?:, )?)+) \|/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/[A-Z_]+/g)].map(([name]) => name),
  ),
);

function expectCaddyAccepts(path: string): void {
  if (!isInstalled('caddy')) return;
  const args = ['validate', '--config', join(ROOT, path), '--adapter', 'caddyfile'];
  expect(spawnSync('caddy', args, { encoding: 'utf8' })).toMatchObject({ status: 0 });
}

describe('deploy/compose.yaml', () => {
  const { services, networks, volumes } = parse(textOf('deploy/compose.yaml')) as {
    services: Record<string, Record<string, unknown> & { environment: Record<string, string>; volumes: string[] }>;
    networks: { front: { ipam: { config: { subnet: string }[] } } };
    volumes: Record<string, unknown>;
  };

  it('publishes the gateway on this machine only, and keeps its data in a volume', () => {
    expect(services['gateway']?.['ports']).toEqual(['127.0.0.1:8080:8080']);
    expect(services['gateway']?.volumes).toEqual(['data:/data']);
    expect(Object.keys(volumes)).toContain('data');
  });

  it('sets only settings that exist, and trusts the network in which Caddy is', () => {
    const { environment = {} } = services['gateway'] ?? {};
    expect(Object.keys(environment).filter((name) => !SETTINGS.has(name))).toEqual([]);
    expect(environment['TRUSTED_PROXIES']).toBe(networks.front.ipam.config[0]?.subnet);
    expect([services['gateway']?.['networks'], services['caddy']?.['networks']]).toEqual([['front'], ['front']]);
  });

  it('pins the image of Caddy and mounts the Caddyfile of this folder', () => {
    expect(services['caddy']?.['image']).toMatch(/^caddy:\d+\.\d+\.\d+-alpine$/);
    expect(services['caddy']?.volumes).toContain('./Caddyfile:/etc/caddy/Caddyfile:ro');
  });
});

describe('deploy/Caddyfile', () => {
  it('leads to the gateway, takes large bodies and does not buffer; Caddy accepts it where it is installed', () => {
    const text = textOf('deploy/Caddyfile');
    expect(text).toMatch(/reverse_proxy \{\$GATEWAY_UPSTREAM:gateway:8080\}/);
    expect(text).toMatch(/max_size 110MB/);
    expect(text).toMatch(/flush_interval -1/);
    expectCaddyAccepts('deploy/Caddyfile');
  });
});

describe('deploy/compose.postgres.yaml', () => {
  const text = textOf('deploy/compose.postgres.yaml');
  const { services, networks, volumes } = parse(text, { merge: true }) as {
    services: Record<
      string,
      Record<string, unknown> & { environment: Record<string, string>; volumes: string[]; depends_on: unknown }
    >;
    networks: { front: { ipam: { config: { subnet: string }[] } }; back: { internal: boolean } };
    volumes: Record<string, unknown>;
  };
  const replicas = Object.keys(services).filter((name) => name.startsWith('gateway-'));

  it('runs three replicas that differ in their host name only, once PostgreSQL is healthy', () => {
    expect(replicas).toHaveLength(3);
    for (const name of replicas) {
      expect(services[name]).toEqual({ ...services['gateway-1'], hostname: name });
      expect(services[name]?.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    }
  });

  it('sets only settings that exist, and trusts the network in which Caddy is', () => {
    const { environment = {} } = services['gateway-1'] ?? {};
    expect(Object.keys(environment).filter((name) => !SETTINGS.has(name))).toEqual([]);
    expect(environment['TRUSTED_PROXIES']).toBe(networks.front.ipam.config[0]?.subnet);
    expect(services['caddy']?.['networks']).toEqual(['front']);
  });

  it('publishes nothing but Caddy, and shows PostgreSQL to the gateways only', () => {
    expect(Object.keys(services).filter((name) => services[name]?.['ports'] !== undefined)).toEqual(['caddy']);
    expect(services['postgres']?.['networks']).toEqual(['back']);
    expect(networks.back.internal).toBe(true);
  });

  it('keeps the database in a volume, and turns nothing off that a crash of the server needs', () => {
    expect(services['postgres']?.volumes).toEqual(['database:/var/lib/postgresql']);
    expect(Object.keys(volumes)).toContain('database');
    expect(services['postgres']?.['image']).toMatch(/^postgres:\d+\.\d+-bookworm$/);
    expect(String(services['postgres']?.['command'])).not.toMatch(/fsync|full_page_writes|synchronous_commit/);
  });

  it('takes its secrets from files that its own commands make, and that are in neither Git nor the image', () => {
    const folder = temporaryFolder();
    const commands = [...text.matchAll(/^# {3}((?:cd|echo) .*)$/gm)].map(([, command = '']) => command);
    execFileSync('sh', ['-ec', commands.join('\n').replace('cd deploy', `cd ${folder}`)]);
    const settings = (file: string) => parseEnv(readFileSync(join(folder, file), 'utf8'));
    expect(services['gateway-1']?.['env_file']).toBe('gateway.env');
    const { store } = readConfig(settings('gateway.env'));
    const url = new URL((store as PostgresLocation).url);
    expect([url.hostname, url.password]).toEqual(['postgres', settings('postgres.env')['POSTGRES_PASSWORD']]);
    expect(Object.keys(settings('.env'))).toEqual(['GATEWAY_DOMAIN']); // without it, a later `up` would forget the domain
    for (const file of ['.gitignore', '.dockerignore']) expect(textOf(file)).toMatch(/^deploy\/\*\.env$/m);
  });
});

describe('deploy/Caddyfile.postgres', () => {
  it('spreads requests over all replicas that are ready; Caddy accepts it where it is installed', () => {
    const text = textOf('deploy/Caddyfile.postgres');
    expect(text).toMatch(/reverse_proxy \{\$GATEWAY_UPSTREAMS:gateway-1:8080 gateway-2:8080 gateway-3:8080\} \{/);
    expect(text).toMatch(/health_uri \/readyz/);
    expect(text).toMatch(/max_size 110MB/);
    expect(text).toMatch(/flush_interval -1/);
    expectCaddyAccepts('deploy/Caddyfile.postgres');
  });
});

describe('deploy/nginx.conf', () => {
  it('appends the address of the client, takes large bodies and does not buffer', () => {
    const text = textOf('deploy/nginx.conf');
    expect(text).toMatch(/proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;/);
    expect(text).toMatch(/client_max_body_size 110m;/);
    expect(text).toMatch(/proxy_buffering off;/);
    expect(text).not.toMatch(/limit_except/);
  });

  it('passes webhooks of every method with large bodies to a gateway, where nginx is installed', async () => {
    if (!isInstalled('nginx') || !isInstalled('openssl')) return;
    const { client } = await startProcess({ TRUSTED_PROXIES: 'loopback' });
    await client.addChannel();
    const url = await startNginx(client.url);
    const large = { ...(JSON.parse(textWebhook('large')) as object), padding: 'x'.repeat(5_000_000) };
    for (const method of WEBHOOK_HTTP_METHODS) {
      const headers = { authorization: `Bearer ${WEBHOOK_SECRET}`, 'content-type': 'application/json' };
      const response = await fetch(`${url}/webhooks/main`, { method, headers, body: JSON.stringify(large) });
      expect([method, response.status]).toEqual([method, 200]);
    }
  });
});

/** nginx with the configuration of deploy/, without TLS so that `fetch` needs no certificate, after `nginx -t` with TLS. */
async function startNginx(gatewayUrl: string): Promise<string> {
  const folder = temporaryFolder();
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '1'];
  execFileSync('openssl', [...request, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const port = await freePort(); // nginx cannot choose one
  const withTls = textOf('deploy/nginx.conf')
    .replace(/\S+fullchain\.pem/, certificate)
    .replace(/\S+privkey\.pem/, key)
    .replace('127.0.0.1:8080', new URL(gatewayUrl).host)
    .replace('listen 443 ssl http2', `listen 127.0.0.1:${port} ssl http2`);
  const command = (server: string): string[] => {
    writeFileSync(join(folder, 'server.conf'), server);
    const file = join(folder, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${folder}/${kind};`,
    );
    writeFileSync(
      file,
      `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}\n` +
        `http { access_log off; ${temporary.join(' ')} include ${folder}/server.conf; }\n`,
    );
    return ['-c', file, '-p', folder, '-e', join(folder, 'error.log')];
  };
  expect(spawnSync('nginx', [...command(withTls), '-t'], { encoding: 'utf8' })).toMatchObject({ status: 0 });
  const nginx = spawn('nginx', command(withTls.replace(' ssl http2', '').replaceAll(/^\s*ssl_.*$/gm, '')), {
    stdio: 'ignore',
  });
  onTestFinished(async () => {
    nginx.kill('SIGTERM');
    await once(nginx, 'exit');
  });
  await until(async () => expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200));
  return `http://127.0.0.1:${port}`;
}

describe('deploy/systemd', () => {
  const unit = textOf('deploy/systemd/whapi-resync-gateway.service');
  const values = (name: string): string[] =>
    [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);

  it('starts what the package starts, does not restart after an invalid setting, and waits for the shutdown', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: { start: string } };
    expect(values('ExecStart')).toEqual(['/usr/bin/node /opt/whapi-resync-gateway/dist/main.js']);
    expect(scripts.start).toContain('dist/main.js');
    expect(values('RestartPreventExitStatus')).toEqual(['2']);
    expect(Number(values('TimeoutStopSec')[0])).toBeGreaterThan(10);
    const names = values('Environment').map((setting) => setting.split('=')[0] ?? '');
    expect(names.filter((name) => name !== 'NODE_ENV' && !SETTINGS.has(name))).toEqual([]);
  });

  it('is accepted by systemd where it is installed', () => {
    if (!isInstalled('systemd-analyze')) return;
    const file = join(temporaryFolder(), 'whapi-resync-gateway.service');
    writeFileSync(file, unit.replace('/usr/bin/node', process.execPath).replace(/^Documentation=.*\n/m, ''));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line.includes('whapi-resync-gateway.service'))).toEqual([]);
    expect(status).toBe(0);
  });
});

describe('deploy/prometheus.yml', () => {
  it('scrapes /metrics with a token from a file; promtool accepts it where it is installed', () => {
    const text = textOf('deploy/prometheus.yml');
    const { scrape_configs: jobs } = parse(text) as {
      scrape_configs: { authorization: unknown; metrics_path?: string }[];
    };
    expect(jobs.map(({ authorization }) => authorization)).toEqual([
      { type: 'Bearer', credentials_file: '/etc/prometheus/whapi-resync-gateway-token' },
    ]);
    if (isInstalled('promtool')) {
      const folder = temporaryFolder();
      const [token, file] = [join(folder, 'token'), join(folder, 'prometheus.yml')];
      writeFileSync(token, 'token');
      writeFileSync(
        file,
        text
          .replace(/credentials_file: .*/, `credentials_file: ${token}`)
          .replace('alerts.yml', join(ROOT, 'docs/alerts.yml')),
      );
      expect(spawnSync('promtool', ['check', 'config', file], { encoding: 'utf8' })).toMatchObject({ status: 0 });
    }
  });
});
