# The gateway on SQLite: docker build -t whapi-resync-gateway . && docker run -p 127.0.0.1:8080:8080 -v gateway:/data whapi-resync-gateway
# docs/deployment.md has a complete set-up with TLS.
FROM node:24.11.1-bookworm AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:24.11.1-bookworm-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8080 \
    DATABASE_URL=sqlite:/data/gateway.db
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY migrations ./migrations
RUN chmod +x dist/cli.js && ln -s /app/dist/cli.js /usr/local/bin/whapi-resync-gateway && mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
# node itself is process 1, so that it gets SIGTERM and drains.
CMD ["node", "dist/main.js"]
