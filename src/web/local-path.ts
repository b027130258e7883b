/** Only a path of this very site: `//host`, `/\host` and absolute URLs would send the user elsewhere. */
export function localPath(path: string | undefined): string {
  // A query parameter that is given twice arrives as an array.
  if (
    typeof path !== "string" ||
    !path.startsWith("/") ||
    path.startsWith("//") ||
    /[\\\u0000-\u001f]/.test(path)
  )
    return "/";
  return path.length > 1_000 ? "/" : path;
}
