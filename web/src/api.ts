// Calls of the API: typed by the contract, with the key of this tab, and refusals as problem details.
import { signal } from '@preact/signals'
import type { paths, components } from './openapi'

export type Schemas = components['schemas']
export type Run = Schemas['WorkflowRun']
export type Task = Schemas['Task']
export type Attempt = Schemas['TaskAttempt']
export type Step = Schemas['WorkflowStep']
export type Queue = Schemas['Queue']
export type RunStatus = Schemas['RunStatus']
export type TaskStatus = Schemas['TaskStatus']
export type StepStatus = Schemas['StepStatus']

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
export type PathOf<M extends Method> = { [P in keyof paths]: paths[P] extends Record<M, object> ? P : never }[keyof paths]
type Operation<P extends keyof paths, M extends Method> = paths[P] extends Record<M, infer O> ? O : never
type Json<R> = R extends { content: { 'application/json': infer T } } ? T : undefined
type Good<R> = { [S in keyof R & (200 | 201 | 202 | 204)]: Json<R[S]> }[keyof R & (200 | 201 | 202 | 204)]
export type Answer<P extends keyof paths, M extends Method = 'get'> =
  Operation<P, M> extends { responses: infer R } ? Good<R> : never
export type QueryOf<P extends keyof paths, M extends Method = 'get'> =
  Operation<P, M> extends { parameters: { query?: infer Q } } ? Q : never
type NamesOf<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { path: infer N } } ? N : undefined
type BodyOf<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: { content: { 'application/json': infer B } } } ? B : undefined

export interface Call<P extends keyof paths, M extends Method> {
  path?: NamesOf<P, M>
  query?: QueryOf<P, M>
  body?: BodyOf<P, M>
  /** A body that is a text of another type than JSON, such as a definition in YAML. */
  text?: { type: string; value: string }
  headers?: Record<string, string>
  abort?: AbortSignal
}

/** A refusal, or an answer that did not come: `status` is 0 then. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly requestId: string,
    readonly errors: { pointer: string; detail: string }[] = [],
    readonly allowed: string[] = [],
  ) {
    super(detail || title)
  }
}

const KEY = 'milepost.key'

/** The API key of this tab; it is forgotten when the tab is closed. */
export const key = signal(sessionStorage.getItem(KEY) ?? '')
/** Whether the service has refused the key, or that there is none. */
export const isKeyNeeded = signal(false)
/** What the key of this tab was refused for want of a scope; '' until it is. */
export const lacks = signal('')
/** How far the clock of the service is before the one here, in milliseconds; 0 where it cannot be told. */
export const skew = signal(0)

export function useKey(value: string): void {
  key.value = value
  isKeyNeeded.value = false
  lacks.value = ''
  if (value) sessionStorage.setItem(KEY, value)
  else sessionStorage.removeItem(KEY)
}

export function authorization(): Record<string, string> {
  return key.value ? { authorization: `Bearer ${key.value}` } : {}
}

export function addressOf(path: string, names: object = {}, query: object = {}): string {
  const known = new Map(Object.entries(names))
  const address = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(known.get(name))))
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') parameters.append(name, String(one))
    }
  }
  return parameters.size ? `${address}?${parameters}` : address
}

export async function call<M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  options: Call<P, M> = {},
): Promise<Answer<P, M>> {
  const { body, text, abort } = options
  const headers: Record<string, string> = { accept: 'application/json', ...authorization(), ...options.headers }
  if (text) headers['content-type'] = text.type
  else if (body !== undefined) headers['content-type'] = 'application/json'
  const sent = text ? text.value : body === undefined ? undefined : JSON.stringify(body)
  const address = addressOf(path, options.path ?? {}, (options.query as object | undefined) ?? {})
  const response = await ask(address, { method: method.toUpperCase(), headers, body: sent ?? null, signal: abort ?? null })
  if (response.status === 204) return undefined as Answer<P, M>
  return (await response.json()) as Answer<P, M>
}

export const get = <P extends PathOf<'get'>>(path: P, options?: Call<P, 'get'>): Promise<Answer<P, 'get'>> =>
  call('get', path, options)

/** Return an answer that is 2xx. Throws Problem. */
export async function ask(address: string, init: RequestInit): Promise<Response> {
  const used = key.value
  let response: Response
  try {
    response = await fetch(address, { ...init, cache: 'no-store', credentials: 'omit', redirect: 'error' })
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === 'AbortError') throw failure
    throw new Problem(0, 'unreachable', 'No answer', 'The service did not answer. It is tried again by itself.', '')
  }
  measureSkew(response.headers.get('date'))
  if (response.ok) return response
  if (response.status === 401 && used === key.value) isKeyNeeded.value = true
  const problem = await problemOf(response)
  if (problem.code === 'forbidden' && used === key.value) lacks.value = problem.detail
  throw problem
}

function measureSkew(date: string | null): void {
  const moment = Date.parse(date ?? '')
  if (Number.isNaN(moment)) return
  const measured = moment + 500 - Date.now()
  const found = Math.abs(measured) > 2500 ? measured : 0
  if (Math.abs(found - skew.value) > 1500) skew.value = found
}

async function problemOf(response: Response): Promise<Problem> {
  const told: Partial<Schemas['ValidationProblem'] & Schemas['ConflictProblem']> = await response.json().catch(() => ({}))
  return new Problem(
    response.status,
    told.code ?? String(response.status),
    told.title ?? response.statusText,
    told.detail ?? '',
    told.request_id ?? response.headers.get('x-request-id') ?? '',
    told.errors ?? [],
    told.allowed ?? [],
  )
}
