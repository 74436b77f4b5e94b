// Starts Swagger UI on the page, from a file: the page's policy lets no script run that is written into it.
const page = document.getElementById("documentation");
SwaggerUIBundle({
  domNode: page,
  url: page.dataset.openapi,
  layout: "BaseLayout",
  deepLinking: true,
  // Else it would have the document looked at by validator.swagger.io.
  validatorUrl: null,
});
