/** An import `with { type: "file" }` yields a path that can be read. */
declare module "*.o" {
  const path: string;
  export default path;
}
declare module "*.so" {
  const path: string;
  export default path;
}
declare module "*.txt" {
  const path: string;
  export default path;
}
/** An import `with { type: "text" }` yields the text. */
declare module "*/page.js" {
  const text: string;
  export default text;
}
declare module "*/page.css" {
  const text: string;
  export default text;
}
