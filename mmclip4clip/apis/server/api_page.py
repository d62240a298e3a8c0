"""The description of the API as a plain web page."""

from html import escape
from typing import Any

HEAD = '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n<h1>{title}</h1>\n'


def describe_api(openapi: dict[str, Any]) -> str:
    """Write a page from an OpenAPI description.

    Args:
        openapi (dict): The description.

    Examples:
        >>> route = dict(post=dict(summary='Find videos', responses={'200': dict(description='Found')}))
        >>> page = describe_api(dict(info=dict(title='API', description=''), paths={'/search': route}))
        >>> '<h2>POST /search</h2>' in page
        True
    """
    title = escape(openapi['info']['title'])
    parts = [HEAD.format(title=title), f'<p>{escape(openapi["info"].get("description", ""))}</p>\n']
    parts.append('<p>For programs: <a href="/openapi.json">/openapi.json</a></p>\n')
    for path, methods in openapi['paths'].items():
        for method, route in methods.items():
            parts.append(_route(path, method, route))
    for name, schema in openapi.get('components', {}).get('schemas', {}).items():
        parts.append(_schema(name, schema))
    return ''.join(parts) + '</html>\n'


def _route(path: str, method: str, route: dict[str, Any]) -> str:
    parts = [f'<h2>{method.upper()} {escape(path)}</h2>\n<p>{escape(route.get("summary", ""))}</p>\n']
    parts.append(f'<p>{escape(route.get("description", ""))}</p>\n')
    rows = [
        f'{one["name"]}: {_type(one.get("schema", {}))}. {one.get("description", "")}'
        for one in route.get('parameters', ())
    ]
    body = route.get('requestBody', {}).get('content', {})
    rows += [f'body, {kind}: {_type(content.get("schema", {}))}' for kind, content in body.items()]
    for status, response in route.get('responses', {}).items():
        types = ', '.join(
            sorted({_type(one.get('schema', {})) for one in response.get('content', {}).values()})
        )
        rows.append(f'{status}: {response.get("description", "")} {types}')
    return ''.join([*parts, _list(rows)])


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get('required', ())
    rows = [
        f'{key}{"" if key in required else ", optional"}: {_type(one)}. {one.get("description", "")}'
        for key, one in schema.get('properties', {}).items()
    ]
    return f'<h3>{escape(name)}</h3>\n<p>{escape(schema.get("description", ""))}</p>\n{_list(rows)}'


def _type(schema: dict[str, Any]) -> str:
    """Name the type of a value, with its bounds."""
    if '$ref' in schema:
        return schema['$ref'].rpartition('/')[2]
    if 'anyOf' in schema:
        return ' or '.join(map(_type, schema['anyOf']))
    found = schema.get('type', 'any value')
    if found == 'array':
        found = f'list of {_type(schema.get("items", {}))}'
    bounds = ('minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems', 'default')
    shown = ', '.join(f'{key} {schema[key]}' for key in bounds if key in schema)
    return f'{found} ({shown})' if shown else found


def _list(rows: list[str]) -> str:
    return '<ul>\n' + ''.join(f'<li>{escape(row)}</li>\n' for row in rows) + '</ul>\n'
