// Shows the OpenAPI document of this service. "Authorize" takes a key, "Execute" sends requests to this origin.

// The keys by the names of their security schemes, kept until the tab is closed: another tab has none of them.
const keys = {
  name: "dreamscript-keys",
  read() {
    return JSON.parse(sessionStorage.getItem(this.name) ?? "{}");
  },
  write(values) {
    sessionStorage.setItem(this.name, JSON.stringify(values));
  },
};

const KeepKeys = {
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (authorize) => (given) => {
          const values = Object.entries(given).map(([scheme, { value }]) => [scheme, value]);
          keys.write({ ...keys.read(), ...Object.fromEntries(values) });
          return authorize(given);
        },
        logout: (logout) => (schemes) => {
          keys.write(Object.fromEntries(Object.entries(keys.read()).filter(([scheme]) => !schemes.includes(scheme))));
          return logout(schemes);
        },
      },
    },
  },
};

// OpenAPI 3.1 has no COPY and the document names it x-copy; OpenAPI 3.2 has a place for it. Requests go to the folder of
// this page, which is the API under any prefix. One field for the key is enough: the API refuses two keys at once.
function adapt({ paths, components: { securitySchemes, ...components }, ...document }) {
  const { Bearer: _, ...schemes } = securitySchemes;
  const items = Object.entries(paths).map(([path, { "x-copy": COPY, ...item }]) => [
    path,
    COPY ? { ...item, additionalOperations: { COPY } } : item,
  ]);
  return {
    ...document,
    openapi: "3.2.0",
    servers: [{ url: new URL(".", location.href).href.replace(/\/$/, "") }],
    paths: Object.fromEntries(items),
    components: { ...components, securitySchemes: schemes },
  };
}

const AdaptDocument = {
  statePlugins: { spec: { wrapActions: { updateJsonSpec: (update) => (document) => update(adapt(document)) } } },
};

const isDark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = () => document.documentElement.classList.toggle("dark-mode", isDark.matches);
isDark.addEventListener("change", followTheme);
followTheme();

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  plugins: [KeepKeys, AdaptDocument],
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  supportedSubmitMethods: ["get", "put", "post", "delete", "patch", "head", "COPY"],
  validatorUrl: null,
  onComplete() {
    for (const [scheme, value] of Object.entries(keys.read())) {
      window.ui.preauthorizeApiKey(scheme, value);
    }
  },
});
