// Relative to the page, so that it works behind a proxy's prefix too.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // It would be sent to another host.
  validatorUrl: null,
});
