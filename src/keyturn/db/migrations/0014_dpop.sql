-- Codes bound to a key of the application: the authorization parameter dpop_jkt (RFC 9449 section 10).

alter table authorization_codes add column dpop_jkt text collate "C";
