// Every entry point, as an application uses it.
import { AuthError, createAuth } from "@keyturn/client";
import { account } from "@keyturn/client/account";
import { intercept } from "@keyturn/client/axios";
import { dpop } from "@keyturn/client/dpop";
import { type MockAuth, mockAuth } from "@keyturn/client/mock";
import axios from "axios";

export const auth = createAuth({
  issuer: "https://id.example.com",
  clientId: "app",
  apis: ["https://api.example.com"],
  proof: dpop(),
});

export const mine = account(auth);

export const api = axios.create({ baseURL: "https://api.example.com" });
intercept(api, auth);

export function pretended(): MockAuth {
  return mockAuth({ user: { id: "ada" }, answers: { "GET /orders": () => Response.json([]) } });
}

export function isOver(error: unknown): boolean {
  return error instanceof AuthError && error.code === "session_expired";
}
