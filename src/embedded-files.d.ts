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
